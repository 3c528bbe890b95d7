import { distance } from "fastest-levenshtein";
import type { Grader } from "./types.ts";
import { binary, invalidAssertion, quote } from "./values.ts";

/** promptfoo's. */
const DEFAULT_THRESHOLD = 5;

/** At most `threshold` insertions, deletions and replacements away from the value. */
export const levenshtein: Grader = ({ type, value, threshold = DEFAULT_THRESHOLD, output }) => {
  if (typeof value !== "string") throw invalidAssertion(type, "needs a text as value");
  const expectation = `to be within ${threshold} edits of ${quote(value)}`;
  // The distance is at least the difference in length; long answers need no quadratic work to fail.
  const least = Math.abs(output.length - value.length);
  if (least > threshold) return binary(false, expectation, `at least ${least} edits away`);
  const edits = distance(output, value);
  return binary(edits <= threshold, expectation, `${edits} edits away`);
};
