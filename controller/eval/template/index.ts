export { parseTemplate, type Template, type TemplatePart, variablesOf } from "../../template/parse.ts";
export { type LintIssue, type LintReport, lintPrompt } from "./lint.ts";
export { type ChatMessage, type CompiledPrompt, compilePrompt, renderPrompt } from "./prompt.ts";
export { givenValue, type PromptVariable, render, type Values } from "./render.ts";
