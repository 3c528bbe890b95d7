import type { PromptTemplateSpec } from "../../../schemas/prompt-template.ts";
import { SlipwayError } from "../../errors.ts";
import { schemaProblem } from "../../json-schema/json-schema.ts";
import { parseTemplate } from "../../template/parse.ts";
import { typeProblem } from "./render.ts";

/** Something about a prompt, and where: the field in the spec and the place inside its text. */
export interface LintIssue {
  readonly rule: string;
  readonly message: string;
  readonly field: string;
  readonly line?: number;
  readonly column?: number;
}

export interface LintReport {
  /** What makes the prompt unusable. */
  readonly errors: readonly LintIssue[];
  /** What works but is probably not meant. */
  readonly findings: readonly LintIssue[];
}

/** Judges a prompt on its own, without a case. */
export function lintPrompt(
  spec: Pick<PromptTemplateSpec, "messages" | "variables"> &
    Pick<Partial<PromptTemplateSpec>, "outputSchema">,
): LintReport {
  const errors: LintIssue[] = [];
  const findings: LintIssue[] = [];
  const used = new Set<string>();
  const declared = new Set(spec.variables.map((variable) => variable.name));

  for (const [index, message] of spec.messages.entries()) {
    const field = `messages[${index}].content`;
    try {
      for (const part of parseTemplate(message.content, field).parts) {
        if ("text" in part) continue;
        used.add(part.variable);
        if (declared.has(part.variable)) continue;
        errors.push({
          rule: "undeclared-variable",
          message: `variable ${part.variable} is used but not declared; add it to variables`,
          field,
          line: part.line,
          column: part.column,
        });
      }
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      const { line, column } = error.location ?? {};
      errors.push({
        rule: "syntax",
        message: [error.message, error.hint].filter(Boolean).join(": "),
        field,
        ...(line !== undefined && { line }),
        ...(column !== undefined && { column }),
      });
    }
    if (message.content.includes("{%")) {
      findings.push({
        rule: "foreign-syntax",
        message: "{% … %} is sent to the model as it is: the template language has no statements",
        field,
      });
    }
    if (/[ \t]$/.test(message.content)) {
      findings.push({
        rule: "trailing-space",
        message: "the message ends in a space, which changes how models continue it",
        field,
      });
    }
  }

  const seen = new Set<string>();
  for (const [index, variable] of spec.variables.entries()) {
    const field = `variables[${index}]`;
    if (seen.has(variable.name))
      errors.push({
        rule: "duplicate-variable",
        message: `variable ${variable.name} is declared twice`,
        field,
      });
    else if (!used.has(variable.name))
      findings.push({
        rule: "unused-variable",
        message: `variable ${variable.name} is declared but no message uses it`,
        field,
      });
    seen.add(variable.name);
    const problem =
      variable.default === undefined || variable.default === null
        ? undefined
        : typeProblem(variable.default, variable.type);
    if (problem)
      errors.push({
        rule: "default-type",
        message: `the default of ${variable.name} ${problem}`,
        field: `${field}.default`,
      });
  }

  const problem = spec.outputSchema === undefined ? undefined : schemaProblem(spec.outputSchema);
  if (problem) errors.push({ rule: "output-schema", message: problem, field: "outputSchema" });
  return { errors, findings };
}
