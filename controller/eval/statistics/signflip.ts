import { allSubsetMeans, randomSubsetMeans } from "./subsets.ts";
import type { Interval } from "./types.ts";
import { compareUnits, mirror, type Units } from "./units.ts";

/** Whether flipping the signs of `count` units can reach a one-sided error of alpha at all: 2^-count <= alpha. */
export function canFlip(count: number, alpha: number): boolean {
  return 2 ** -count <= alpha;
}

/**
 * The interval of means μ that a one-sided sign-flip test on the units' (sum - μ·weight) does not reject; exact where
 * those are symmetric about 0, for any number of units. Flipping the units of a subset reaches the observed total
 * exactly when the subset's own mean is on the far side of μ, so the limits are order statistics of the means of
 * random subsets (Hartigan 1969, JASA 64:1303) and one set of draws serves every μ. All 2^N subsets are taken where
 * they are no more than `resamples`; else that many are drawn, and the observed one added, which keeps the test valid
 * (Phipson & Smyth 2010).
 */
export function signFlip(units: Units, alpha: number, resamples: number, seed: number): Interval {
  // Comparing base with head must be the exact mirror of comparing head with base, draws included.
  const other = mirror(units);
  if (compareUnits(other, units) < 0) {
    const { lower, upper, atMostZero } = flip(other, alpha, resamples, seed);
    return { lower: 0 - upper, upper: 0 - lower, lossPValue: atMostZero };
  }
  const { lower, upper, atLeastZero } = flip(units, alpha, resamples, seed);
  return { lower, upper, lossPValue: atLeastZero };
}

function flip({ sums, weights }: Units, alpha: number, resamples: number, seed: number) {
  const all = sums.length < 31 && 2 ** sums.length <= resamples;
  const { means, empty } = all
    ? allSubsetMeans(sums, weights)
    : randomSubsetMeans(sums, weights, resamples, seed);
  snapToZero(means);
  // The empty subset is the observed arrangement itself: as extreme as can be, on both sides.
  const extreme = all ? empty : empty + 1;
  const total = means.length + extreme;
  const beyond = Math.max(0, Math.floor(alpha * total * (1 + 1e-12)) - extreme);
  const firstNotNegative = countBelow(means, 0, false);
  const firstPositive = countBelow(means, 0, true);
  return {
    lower: means[Math.min(beyond, means.length - 1)]!,
    upper: means[Math.max(means.length - 1 - beyond, 0)]!,
    atLeastZero: (means.length - firstNotNegative + extreme) / total,
    atMostZero: (firstPositive + extreme) / total,
  };
}

/** A sum that is 0 but for rounding must count as a tie. */
function snapToZero(means: Float64Array): void {
  const largest = Math.max(Math.abs(means[0]!), Math.abs(means[means.length - 1]!));
  for (let i = 0; i < means.length; i++) if (Math.abs(means[i]!) <= largest * 1e-12) means[i] = 0;
}

function countBelow(sorted: Float64Array, limit: number, orEqual: boolean): number {
  const index = sorted.findIndex((value) => (orEqual ? value > limit : value >= limit));
  return index === -1 ? sorted.length : index;
}
