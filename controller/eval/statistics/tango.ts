import { normalQuantile, normalTail, solveDecreasing } from "./normal.ts";
import type { Interval } from "./types.ts";

/**
 * Tango's score interval for the difference of two paired proportions (Tango 1998, Stat. Med. 17:891; closed form of
 * the constrained estimate from Tango 1999, Stat. Med. 18:3511). At difference 0 it is McNemar's test without
 * continuity correction, and with no discordant pair it is ±z²/(n+z²).
 * @param gains pairs that only the head gets right
 * @param losses pairs that only the base gets right
 * @param n all pairs
 * @param alpha one-sided error of each end
 */
export function tango(gains: number, losses: number, n: number, alpha: number): Interval {
  const z = normalQuantile(alpha);
  const discordant = gains + losses;
  return {
    lower: lowerLimit(gains, losses, n, z),
    upper: -lowerLimit(losses, gains, n, z),
    lossPValue: discordant === 0 ? 0.5 : normalTail((losses - gains) / Math.sqrt(discordant)),
  };
}

function lowerLimit(gains: number, losses: number, n: number, z: number): number {
  const excess = (difference: number) => scoreStatistic(gains, losses, n, difference) - z;
  // With every pair lost the statistic is 0 at -1 and nothing below the estimate can be excluded.
  if (losses === n) return -1;
  return Math.min(solveDecreasing(-1, (gains - losses) / n, excess), (gains - losses) / n);
}

/** Tango's score statistic for "the difference is `difference`"; decreases in `difference`. */
export function scoreStatistic(gains: number, losses: number, n: number, difference: number): number {
  const b = (2 * n - gains + losses) * difference - gains - losses;
  const c = -losses * difference * (1 - difference);
  const root = Math.sqrt(Math.max(0, b * b - 8 * n * c));
  // The constrained rate of losses; the second form where the first would cancel.
  const rate = b <= 0 ? (root - b) / (4 * n) : (-2 * c) / (root + b);
  const variance = n * (2 * rate + difference * (1 - difference));
  const distance = gains - losses - n * difference;
  return variance > 0
    ? distance / Math.sqrt(variance)
    : distance === 0
      ? 0
      : Math.sign(distance) * Number.POSITIVE_INFINITY;
}
