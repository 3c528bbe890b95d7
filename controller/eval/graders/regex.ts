import { RE2JS } from "re2js";
import type { Grader } from "./types.ts";
import { binary, invalidAssertion, quote } from "./values.ts";

const MAX_KEPT = 256;
const kept = new Map<string, RE2JS>();

/**
 * The pattern is found somewhere in the answer. RE2's syntax: linear in the answer's length, so no look-around and no
 * back-references.
 */
export const regex: Grader = ({ type, value, output }) => {
  if (typeof value !== "string" || value === "") throw invalidAssertion(type, "needs a pattern as value");
  return binary(compiled(type, value).test(output), `to match the pattern ${quote(value)}`);
};

function compiled(type: string, pattern: string): RE2JS {
  const known = kept.get(pattern);
  if (known) return known;
  let made: RE2JS;
  try {
    made = RE2JS.compile(RE2JS.translateRegExp(pattern));
  } catch (error) {
    throw invalidAssertion(
      type,
      `${quote(pattern)} is not a pattern: ${(error as Error).message}`,
      "patterns have RE2's syntax: no look-around, no back-references",
    );
  }
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!);
  kept.set(pattern, made);
  return made;
}
