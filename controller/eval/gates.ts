import type { Gate } from "../../schemas/eval-suite.ts";
import type { CaseMeasure } from "./measure.ts";
import { mean } from "./measure.ts";
import type { GateOutcome } from "./result.ts";
import { comparePaired, holm, type PairedResult, type PairedUnit } from "./statistics/index.ts";

/** A suite without gates: the pass rate may not fall by five points or more. */
export const DEFAULT_GATE: Gate = {
  name: "pass-rate",
  metric: "pass-rate",
  margin: 0.05,
  onInconclusive: "Pass",
};

/** One-sided error rate of every gate. */
const ALPHA = 0.05;
/** A mean that misses a limit by less has only been rounded. */
const ROUNDING = 1e-9;

export interface MeasuredCase {
  readonly id: string;
  readonly cluster?: string;
  readonly base?: CaseMeasure;
  readonly head?: CaseMeasure;
}

export interface MeasuredTarget {
  readonly name: string;
  readonly hasBase: boolean;
  readonly hasHead: boolean;
  readonly cases: readonly MeasuredCase[];
}

export interface GateInput {
  readonly gates: readonly Gate[];
  readonly targets: readonly MeasuredTarget[];
  readonly repeats: number;
  readonly seed: number;
  /** Metrics whose figures are times or money: less is better. */
  readonly figures: ReadonlySet<string>;
}

interface Pending {
  readonly gate: Gate;
  readonly target: MeasuredTarget;
  readonly head: readonly number[];
  readonly paired: PairedResult | undefined;
  /** Why the gate cannot be judged, and whether that is held against the head. */
  readonly obstacle: { readonly message: string; readonly passed: boolean } | undefined;
}

/**
 * Judges every gate on every target. A margin compares head with base case by case; `min` and `max` hold the head's
 * mean. A claim that the head regressed must stand Holm's correction over all the comparisons of the run; that all gates
 * pass needs none, being an intersection-union test.
 */
export function evaluateGates(input: GateInput): GateOutcome[] {
  const pending = input.gates.flatMap((gate) => input.targets.map((target) => measure(gate, target, input)));
  const compared = pending.filter(({ paired }) => paired !== undefined);
  const confirmed = holm(
    compared.map(({ paired }) => paired!.regressionPValue),
    ALPHA,
  );
  const stands = new Map(compared.map((entry, index) => [entry, confirmed[index]!]));
  return pending.map((entry) => outcomeOf(entry, stands.get(entry) ?? false));
}

function measure(gate: Gate, target: MeasuredTarget, { repeats, seed, figures }: GateInput): Pending {
  const head = target.cases.flatMap(({ head: side }) => measuredValue(gate.metric, side) ?? []);
  const bounded = gate.min !== undefined || gate.max !== undefined;
  const stop = (message: string, passed: boolean): Pending => ({
    gate,
    target,
    head,
    paired: undefined,
    obstacle: { message, passed },
  });
  if (!target.hasHead) return stop("the head has no such target", true);
  // A figure that the policy asks for and the head does not have cannot count as kept.
  if (head.length === 0) return stop(`no case of the head has a known ${gate.metric}`, false);
  const unknown =
    gate.metric === "cost" ? target.cases.filter((row) => row.head && row.head.cost === undefined).length : 0;
  if (unknown > 0)
    return stop(`the cost of ${unknown} cases of the head is unknown: set pricing on the deployment`, false);
  if (gate.margin === undefined) return { gate, target, head, paired: undefined, obstacle: undefined };

  const units = pairs(gate.metric, target.cases);
  if (!target.hasBase || units.length === 0) {
    const why = target.hasBase
      ? `no case has a known ${gate.metric} on both sides`
      : "there is no base to compare with";
    return bounded ? { gate, target, head, paired: undefined, obstacle: undefined } : stop(why, true);
  }
  const lowerIsBetter = gate.metric === "latency" || gate.metric === "cost" || figures.has(gate.metric);
  const unitRange = !lowerIsBetter && units.every(({ base, head: value }) => inUnit(base) && inUnit(value));
  const paired = comparePaired(units, {
    margin: gate.margin,
    higherIsBetter: !lowerIsBetter,
    alpha: ALPHA,
    binary: gate.metric === "pass-rate",
    repeats,
    seed,
    ...(unitRange && { bounds: [0, 1] as const }),
  });
  return { gate, target, head, paired, obstacle: undefined };
}

function outcomeOf({ gate, target, head, paired, obstacle }: Pending, stands: boolean): GateOutcome {
  const names = { name: gate.name, metric: gate.metric, target: target.name };
  if (obstacle) return { ...names, outcome: "NotEvaluated", ...obstacle };
  const average = paired?.headMean ?? mean(head);
  const figures = paired
    ? {
        base: paired.baseMean,
        delta: paired.delta,
        lower: paired.lower,
        upper: paired.upper,
        method: paired.method,
        n: paired.n,
        clusters: paired.clusters,
        regressionPValue: paired.regressionPValue,
        detectableEffect: paired.detectableEffect,
        ...(paired.casesNeeded !== undefined && { casesNeeded: paired.casesNeeded }),
      }
    : {};
  const common = { ...names, head: average, ...figures };

  const headMean = mean(head);
  const broken =
    gate.min !== undefined && headMean < gate.min - ROUNDING
      ? `the mean ${round(headMean)} is below min ${gate.min}`
      : gate.max !== undefined && headMean > gate.max + ROUNDING
        ? `the mean ${round(headMean)} is above max ${gate.max}`
        : undefined;
  if (broken !== undefined) return { ...common, outcome: "NotMet", passed: false, message: broken };
  if (!paired) return { ...common, outcome: "Met", passed: true };

  // Alone it would be a regression; among so many comparisons it may be chance.
  const weakened = paired.outcome === "Regressed" && !stands;
  const outcome = weakened ? "Inconclusive" : paired.outcome;
  const passed =
    outcome === "Improved" ||
    outcome === "WithinMargin" ||
    (outcome === "Inconclusive" && gate.onInconclusive === "Pass");
  return {
    ...common,
    outcome,
    passed,
    ...(weakened && { message: "worse, but not beyond chance among the run's other comparisons (Holm)" }),
  };
}

function pairs(metric: string, cases: readonly MeasuredCase[]): PairedUnit[] {
  return cases.flatMap(({ id, cluster, base, head }) => {
    const left = measuredValue(metric, base);
    const right = measuredValue(metric, head);
    if (left === undefined || right === undefined) return [];
    return [{ id, ...(cluster !== undefined && { cluster }), base: left, head: right }];
  });
}

function measuredValue(metric: string, side: CaseMeasure | undefined): number | undefined {
  if (!side) return undefined;
  if (metric === "pass-rate") return side.passRate;
  if (metric === "score") return side.score;
  if (metric === "latency") return side.latencyMs;
  if (metric === "cost") return side.cost;
  return Object.hasOwn(side.metrics, metric) ? side.metrics[metric] : undefined;
}

function inUnit(value: number): boolean {
  return value >= 0 && value <= 1;
}

function round(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
