import type { Assertion, GraderName } from "../../../schemas/eval-suite.ts";
import { endsWith, startsWith } from "./affix.ts";
import { contains, icontains } from "./contains.ts";
import { containsAll, containsAny, icontainsAll, icontainsAny } from "./contains-list.ts";
import { equals } from "./equals.ts";
import { containsJson, isJson } from "./json.ts";
import { levenshtein } from "./levenshtein.ts";
import { cost, latency } from "./limits.ts";
import { llmRubric } from "./llm-rubric.ts";
import { regex } from "./regex.ts";
import { renderValue } from "./render-value.ts";
import type { AssertionResult, GradeContext, Grader } from "./types.ts";
import { invalidAssertion } from "./values.ts";

const GRADER: Record<GraderName, Grader> = {
  equals,
  contains,
  icontains,
  "contains-any": containsAny,
  "icontains-any": icontainsAny,
  "contains-all": containsAll,
  "icontains-all": icontainsAll,
  "starts-with": startsWith,
  "ends-with": endsWith,
  regex,
  "is-json": isJson,
  "contains-json": containsJson,
  levenshtein,
  latency,
  cost,
  "llm-rubric": llmRubric,
};

export interface GradeResult {
  /** Every assertion of positive weight passed. */
  readonly pass: boolean;
  /** Weighted mean of the assertions' scores; 1 when there are none. */
  readonly score: number;
  /** Weighted mean score of the assertions of each metric. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly results: readonly AssertionResult[];
}

/**
 * Grades one answer as promptfoo does, with one difference: a metric all of whose assertions have weight 0 is their
 * plain mean, not 0, because "reported only" is what weight 0 is for.
 * @throws SlipwayError InvalidAssertion for a mistake in the suite, UnknownFigure, or what the judge threw: then there
 *   is no verdict
 */
export async function grade(
  assertions: readonly Assertion[],
  output: string,
  context: GradeContext,
): Promise<GradeResult> {
  const results: AssertionResult[] = [];
  for (const assertion of assertions) results.push(await apply(assertion, output, context));
  const byMetric = Map.groupBy(
    results.filter((result) => result.metric !== undefined),
    (result) => result.metric!,
  );
  return {
    pass: results.every((result) => result.pass),
    score: results.length === 0 ? 1 : weightedMean(results, 0),
    metrics: Object.fromEntries([...byMetric].map(([metric, group]) => [metric, weightedMean(group)])),
    results,
  };
}

async function apply(assertion: Assertion, output: string, context: GradeContext): Promise<AssertionResult> {
  const { type, threshold, weight, metric } = assertion;
  const { name, inverse } = graderOf(type);
  const values =
    context.expected === undefined ? context.vars : { ...context.vars, expected: context.expected };
  const input = {
    type: name,
    value: renderValue(name, assertion.value, values),
    threshold,
    metric,
    output,
    context,
  };
  if (inverse && threshold === undefined && (name === "latency" || name === "cost"))
    throw invalidAssertion(type, "needs a threshold");
  const { pass, score, expectation, found } = await GRADER[name](input);
  const right = pass !== inverse;
  return {
    type,
    pass: right || weight === 0,
    score: inverse ? Math.min(1, Math.max(0, 1 - score)) : score,
    weight,
    ...(metric !== undefined && { metric }),
    ...(!right && {
      reason: `expected the answer ${inverse ? "not " : ""}${expectation}${found === undefined ? "" : `: ${found}`}`,
    }),
  };
}

/** Splits `not-` off. */
export function graderOf(type: Assertion["type"]): { name: GraderName; inverse: boolean } {
  const inverse = type.startsWith("not-");
  return { name: (inverse ? type.slice(4) : type) as GraderName, inverse };
}

/** @param whenWeightless for a total weight of 0; the plain mean unless given */
function weightedMean(results: readonly AssertionResult[], whenWeightless?: number): number {
  const total = results.reduce((sum, { weight }) => sum + weight, 0);
  if (total > 0) return results.reduce((sum, { score, weight }) => sum + score * weight, 0) / total;
  return whenWeightless ?? results.reduce((sum, { score }) => sum + score, 0) / results.length;
}
