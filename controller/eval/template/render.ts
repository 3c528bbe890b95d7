import type { z } from "zod";
import type { promptVariable } from "../../../schemas/prompt-template.ts";
import { SlipwayError } from "../../errors.ts";
import type { Template } from "../../template/parse.ts";

export type PromptVariable = z.infer<typeof promptVariable>;

/** The values that one case gives. */
export type Values = Readonly<Record<string, unknown>>;

/**
 * Puts values in, once: a value that itself holds `{{…}}` stays as it is.
 * @param declared types and defaults; a variable that is not declared takes any value
 * @throws SlipwayError MissingVariable or VariableType, with the place in the template
 */
export function render(template: Template, values: Values, declared: readonly PromptVariable[] = []): string {
  let text = "";
  for (const part of template.parts) {
    if ("text" in part) {
      text += part.text;
      continue;
    }
    const declaration = declared.find((variable) => variable.name === part.variable);
    const value = givenValue(part.variable, values, declaration);
    const location = { file: template.origin, line: part.line, column: part.column };
    if (value === undefined) {
      throw new SlipwayError("MissingVariable", `variable ${part.variable} has no value`, {
        hint: "give it a value in the case's vars, or a default in the prompt",
        location,
      });
    }
    const problem = declaration && typeProblem(value, declaration.type);
    if (problem) {
      throw new SlipwayError("VariableType", `variable ${part.variable} ${problem}`, {
        hint: "change the value in the case's vars, or the variable's type in the prompt",
        location,
      });
    }
    text += asText(value, declaration?.type);
  }
  return text;
}

/** The case's value, else the default; undefined where there is neither. */
export function givenValue(name: string, values: Values, declaration?: PromptVariable): unknown {
  const own = Object.hasOwn(values, name) ? values[name] : undefined;
  return own === undefined ? declaration?.default : own;
}

/**
 * Why a value does not fit a type; undefined when it does. Numbers and booleans may come as their text, because
 * a CSV file knows nothing else.
 */
export function typeProblem(value: unknown, type: PromptVariable["type"]): string | undefined {
  const given = value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
  switch (type) {
    case "json":
      return undefined;
    case "string":
      return typeof value === "string" ? undefined : `must be a string, not ${given}`;
    case "boolean":
      if (typeof value === "boolean" || value === "true" || value === "false") return undefined;
      return `must be true or false, not ${given}`;
    case "number":
      if (typeof value === "number" && Number.isFinite(value)) return undefined;
      if (typeof value === "string" && /^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(value))
        return undefined;
      return `must be a number, not ${typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : given}`;
  }
}

function asText(value: unknown, type?: PromptVariable["type"]): string {
  return typeof value === "string" && type !== "json" ? value : JSON.stringify(value);
}
