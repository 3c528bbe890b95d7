import type { Assertion, EvalCase } from "../../schemas/eval-suite.ts";
import { SlipwayError } from "../errors.ts";
import type { BundledModel, SideBundle, SuiteBundle } from "./bundle.ts";
import { grade, graderOf } from "./graders/index.ts";
import { factsOf, notServedHere } from "./model-facts.ts";

const BUILT_IN = new Set(["pass-rate", "score", "latency", "cost"]);

/** The assertions of a case: the suite's, then its own. */
export function assertionsOf(suite: SuiteBundle, row: EvalCase): readonly Assertion[] {
  return row.assert ? [...suite.assert, ...row.assert] : suite.assert;
}

/** Every model that a run may ask. */
export function modelsOf(suite: SuiteBundle, sides: readonly (SideBundle | undefined)[]): BundledModel[] {
  const models = sides.flatMap((side) => side?.targets.map(({ model }) => model) ?? []);
  return suite.judge ? [...models, suite.judge] : models;
}

/** Metrics that are times or money: all their assertions are latency or cost without a limit. */
export function figureMetrics(suite: SuiteBundle): ReadonlySet<string> {
  const all = namedAssertions(suite);
  return new Set([...all].filter(([, group]) => group.every(isFigure)).map(([metric]) => metric));
}

/** A latency or cost without a limit records its figure as the score. */
export function isFigure(assertion: Assertion): boolean {
  const { name } = graderOf(assertion.type);
  return assertion.threshold === undefined && (name === "latency" || name === "cost");
}

/**
 * Finds what would break a run before the first call is paid: graders are run once on an empty answer with every case's
 * own values.
 * @throws SlipwayError InvalidSuite, with the case
 */
export async function checkSuite(
  suite: SuiteBundle,
  sides: readonly (SideBundle | undefined)[],
): Promise<void> {
  if (suite.cases.length === 0) throw invalid("the suite has no cases");
  const metrics = namedAssertions(suite);
  const unknown = suite.gates.find(({ metric }) => !BUILT_IN.has(metric) && !metrics.has(metric));
  if (unknown) {
    throw invalid(
      `gate ${unknown.name} refers to the metric ${unknown.metric}, which no assertion has`,
      "use pass-rate, score, latency, cost or the metric of an assertion",
    );
  }
  for (const model of modelsOf(suite, sides)) {
    const { name } = model;
    const facts = factsOf(model);
    if (!facts) throw invalid(`deployment ${name} has no endpoint`);
    if (facts.baseURL === undefined) throw notServedHere(name);
    if (suite.budget.maxCost !== undefined && !facts.pricing)
      throw invalid(`budget.maxCost needs pricing on deployment ${name}`);
  }
  const { judge: hasJudge } = suite;
  for (const [index, row] of suite.cases.entries()) {
    const context = {
      vars: row.vars,
      ...(row.expected !== undefined && { expected: row.expected }),
      latencyMs: 0,
      cost: 0,
      ...(hasJudge && { judge: async () => ({ pass: true, score: 1, reason: "" }) }),
    };
    try {
      await grade(assertionsOf(suite, row), "", context);
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      throw invalid(`case ${row.id}: ${error.message}`, error.hint);
    }
    // Long suites must not keep the process from anything else meanwhile.
    if (index % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
  }
}

function namedAssertions(suite: SuiteBundle): Map<string, Assertion[]> {
  const all = [...suite.assert, ...suite.cases.flatMap(({ assert = [] }) => assert)];
  return Map.groupBy(
    all.filter(({ metric }) => metric !== undefined),
    ({ metric }) => metric!,
  );
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("InvalidSuite", message, hint === undefined ? {} : { hint });
}
