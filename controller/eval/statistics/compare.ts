import { boundedScore, floorInterval, type Spread } from "./bounded.ts";
import { casesNeeded, detectableEffect } from "./power.ts";
import { canFlip, signFlip } from "./signflip.ts";
import { studentInterval } from "./student.ts";
import { tango } from "./tango.ts";
import type { GateSpec, Interval, Outcome, PairedResult, PairedUnit } from "./types.ts";
import { sumAscending, toUnits, type Units } from "./units.ts";
import { checkCases, type Gate, parseGate } from "./validate.ts";

/**
 * Compares head with base case by case: one interval for the mean difference at one-sided alpha, judged against the
 * margin.
 *
 * - Single binary observations without clusters: Tango's score interval.
 * - All else: the inverted sign-flip test on cases or clusters. For a metric with a known range it is joined with a
 *   score interval that allows for losses not seen in the sample, and limited to the range. Too few units for any
 *   sign-flip to reach alpha (four at 0.05): Student's interval.
 * - Never narrower than scale·z²/(N+z²), N the effective number of independent units. The scale is the metric's range;
 *   without one (latency, cost) the larger of the two means: an unseen case may differ by as much as a usual one costs.
 *
 * The result depends neither on the order of the cases nor, but for the sign, on which side is called base.
 *
 * @throws SlipwayError NoCases, DuplicateCase, InvalidObservation or InvalidGate
 */
export function comparePaired(cases: readonly PairedUnit[], spec: GateSpec): PairedResult {
  const gate = parseGate(spec);
  checkCases(cases, spec);
  const units = toUnits(cases, gate.sign);
  const n = cases.length;
  const baseMean = sumAscending(Float64Array.from(cases, (unit) => unit.base).sort()) / n;
  const headMean = sumAscending(Float64Array.from(cases, (unit) => unit.head).sort()) / n;
  const spread = spreadOf(units, n);
  const scale = gate.range ?? Math.max(Math.abs(baseMean), Math.abs(headMean));
  const floor = floorInterval(spread, scale, gate.alpha);
  const { method, ...interval } = intervalOf(units, spread, scale, floor, gate);
  const outcome = judge(interval, gate.margin);
  const precision = {
    n,
    gain: spread.mean,
    standardError: Math.sqrt(spread.variance / spread.units),
    floor: floor.half,
    scale,
    casesPerUnit: n / spread.units,
    margin: gate.margin,
    alpha: gate.alpha,
  };
  const needed = outcome === "Inconclusive" ? casesNeeded(precision) : undefined;
  return {
    n,
    clusters: units.sums.length,
    baseMean,
    headMean,
    delta: gate.sign * spread.mean + 0,
    lower: (gate.sign === 1 ? interval.lower : -interval.upper) + 0,
    upper: (gate.sign === 1 ? interval.upper : -interval.lower) + 0,
    outcome,
    method,
    regressionPValue: interval.lossPValue,
    detectableEffect: detectableEffect(precision),
    ...(needed === undefined ? {} : { casesNeeded: needed }),
  };
}

function intervalOf(
  units: Units,
  spread: Spread,
  scale: number,
  floor: Interval,
  { alpha, range, resamples, seed, single }: Gate,
): Interval & Pick<PairedResult, "method"> {
  const { sums, weights } = units;
  if (single && weights.every((weight) => weight === 1)) {
    const gains = sums.reduce((count, gain) => count + (gain > 0 ? 1 : 0), 0);
    const losses = sums.reduce((count, gain) => count + (gain < 0 ? 1 : 0), 0);
    return { ...tango(gains, losses, sums.length, alpha), method: "tango" };
  }
  const flips = canFlip(sums.length, alpha);
  const main = flips
    ? signFlip(units, alpha, resamples, seed)
    : studentInterval(spread, sums.length, scale, alpha);
  const method = flips ? "sign-flip" : "student-t";
  if (range === undefined) return { ...widest(main, floor), method };
  const { lower, upper, lossPValue } = widest(main, floor, boundedScore(spread, range, alpha));
  return { lower: Math.max(lower, -range), upper: Math.min(upper, range), lossPValue, method };
}

/** Mean over cases, with the variance of one of as many equal units as the clusters are worth (Kish's number). */
function spreadOf({ sums, weights }: Units, n: number): Spread {
  const mean = sumAscending(sums) / n;
  const squares = sums.map((total, i) => (total - mean * weights[i]!) ** 2).sort();
  const weightSquares = sumAscending(weights.map((weight) => weight ** 2).sort());
  // Rounding alone must not look like spread.
  const variance = sumAscending(squares) / weightSquares;
  return { units: n ** 2 / weightSquares, mean, variance: variance <= (mean * 1e-12) ** 2 ? 0 : variance };
}

/** Rejects only what every one of the tests rejects. */
function widest(...intervals: Interval[]): Interval {
  return {
    lower: Math.min(...intervals.map((interval) => interval.lower)),
    upper: Math.max(...intervals.map((interval) => interval.upper)),
    lossPValue: Math.max(...intervals.map((interval) => interval.lossPValue)),
  };
}

function judge({ lower, upper }: Interval, margin: number): Outcome {
  if (lower > 0) return "Improved";
  if (lower > -margin) return "WithinMargin";
  return upper < 0 ? "Regressed" : "Inconclusive";
}
