import { isDeepStrictEqual } from "node:util";
import type { Grader } from "./types.ts";
import { binary, invalidAssertion, quote } from "./values.ts";

/** The whole answer: as JSON where the value is an object or a list, else as text to the letter. */
export const equals: Grader = ({ type, value, output }) => {
  if (value === undefined) throw invalidAssertion(type, "needs a value");
  if (typeof value !== "object") return binary(output === String(value), `to equal ${quote(String(value))}`);
  return binary(
    isDeepStrictEqual(parsed(output), value),
    `to equal the JSON ${quote(JSON.stringify(value))}`,
  );
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
