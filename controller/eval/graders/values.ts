import { SlipwayError } from "../../errors.ts";
import type { Grade, GraderInput } from "./types.ts";

/** The suite's mistake, found while grading: there is no verdict about the answer. */
export function invalidAssertion(type: string, message: string, hint?: string): SlipwayError {
  return new SlipwayError("InvalidAssertion", `${type}: ${message}`, hint === undefined ? {} : { hint });
}

/** A pass or fail as promptfoo scores it: 1 or 0. */
export function binary(pass: boolean, expectation: string, found?: string): Grade {
  return { pass, score: pass ? 1 : 0, expectation, ...(found !== undefined && { found }) };
}

/** The value as non-empty text; a number counts as its digits. */
export function textValue({ type, value }: GraderInput): string {
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (typeof value === "string" && value !== "") return value;
  throw invalidAssertion(type, "needs a text or number as value");
}

/** The value as a list of texts: a list, or one text with commas between its items. */
export function listValue({ type, value }: GraderInput): string[] {
  if (Array.isArray(value) && value.length > 0) return value.map(String);
  if (typeof value === "string" && value !== "") return splitCommas(type, value);
  throw invalidAssertion(type, "needs a list, or a text with commas, as value");
}

/** `"a, b", c` has two items: double quotes keep commas, `\"`, `\\` and `""` are escapes inside them. */
function splitCommas(type: string, text: string): string[] {
  const items: string[] = [];
  const item = /\s*(?:"((?:[^"\\]|\\.|"")*)"\s*(?=,|$)|([^",\s][^,]*))?(?:,|$)/sy;
  for (let match = item.exec(text); ; match = item.exec(text)) {
    if (!match)
      throw invalidAssertion(
        type,
        `cannot split ${JSON.stringify(text)} at commas`,
        "close every quote, or write a list",
      );
    const [all, quoted, plain] = match;
    if (quoted !== undefined)
      items.push(quoted.replaceAll(/\\(["\\])|""/g, (_, escaped?: string) => escaped ?? '"'));
    else if (plain !== undefined) items.push(plain.trim());
    if (item.lastIndex >= text.length || all === "") break;
  }
  return items;
}

/** Text in an explanation: in quotes, at most 200 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
