import type { GraderName } from "../../../schemas/eval-suite.ts";
import { SlipwayError } from "../../errors.ts";
import { parseTemplate } from "../../template/parse.ts";
import { render, type Values } from "../template/render.ts";
import { invalidAssertion } from "./values.ts";

/**
 * Fills the templates in an assertion's value with the case's variables and `expected`. A text that is nothing but one
 * placeholder takes the value as it is, so that `{{expected}}` may be an object. A JSON Schema given as an object is
 * left alone: braces in it are its own.
 */
export function renderValue(type: GraderName, value: unknown, values: Values): unknown {
  if (typeof value === "string") return renderText(type, value, values);
  if (type === "is-json" || type === "contains-json" || typeof value !== "object" || value === null)
    return value;
  if (Array.isArray(value)) return value.map((item) => renderValue(type, item, values));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, renderValue(type, member, values)]),
  );
}

function renderText(type: GraderName, text: string, values: Values): unknown {
  if (!text.includes("{{")) return text;
  try {
    const template = parseTemplate(text, "value");
    const [only, ...rest] = template.parts;
    if (only && "variable" in only && rest.length === 0 && Object.hasOwn(values, only.variable)) {
      const value = values[only.variable];
      if (value !== undefined) return value;
    }
    return render(template, values);
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    throw invalidAssertion(type, `in its value, ${error.message}`, error.hint);
  }
}
