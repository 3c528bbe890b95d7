import type { Grader } from "./types.ts";
import { invalidAssertion, quote } from "./values.ts";

/** A judge model says whether the answer meets the value; with a threshold its score must reach that too. */
export const llmRubric: Grader = async ({ type, value, threshold, output, context }) => {
  if (!context.judge) throw invalidAssertion(type, "there is no judge", "set judge.modelRef in the suite");
  if (value === undefined || value === null || value === "")
    throw invalidAssertion(type, "needs a rubric as value");
  const rubric = typeof value === "string" ? value : JSON.stringify(value);
  const { pass, score, reason } = await context.judge(rubric, output);
  return {
    pass: pass && (threshold === undefined || score >= threshold),
    score,
    expectation: `to meet the rubric ${quote(rubric)}`,
    ...(reason !== "" && { found: reason }),
  };
};
