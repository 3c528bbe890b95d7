import type { PromptTemplateSpec } from "../../../schemas/prompt-template.ts";
import { parseTemplate, type Template } from "../../template/parse.ts";
import { render, type Values } from "./render.ts";

/** A message as it is sent. */
export interface ChatMessage {
  readonly role: PromptTemplateSpec["messages"][number]["role"];
  readonly content: string;
}

/** A prompt with its templates parsed, for many renderings. */
export interface CompiledPrompt {
  readonly messages: readonly { readonly role: ChatMessage["role"]; readonly template: Template }[];
  readonly variables: PromptTemplateSpec["variables"];
}

/** @throws SlipwayError of `parseTemplate`, located at `messages[i].content` */
export function compilePrompt(spec: Pick<PromptTemplateSpec, "messages" | "variables">): CompiledPrompt {
  return {
    messages: spec.messages.map(({ role, content }, index) => ({
      role,
      template: parseTemplate(content, `messages[${index}].content`),
    })),
    variables: spec.variables,
  };
}

/**
 * The messages with the case's values in them.
 * @throws SlipwayError of `parseTemplate` and `render`
 */
export function renderPrompt(
  prompt: CompiledPrompt | Pick<PromptTemplateSpec, "messages" | "variables">,
  values: Values,
): ChatMessage[] {
  const compiled = isCompiled(prompt) ? prompt : compilePrompt(prompt);
  return compiled.messages.map(({ role, template }) => ({
    role,
    content: render(template, values, compiled.variables),
  }));
}

function isCompiled(
  prompt: CompiledPrompt | Pick<PromptTemplateSpec, "messages" | "variables">,
): prompt is CompiledPrompt {
  return prompt.messages.every((message) => "template" in message);
}
