import { normalQuantile } from "./normal.ts";

/** What a plan needs to know of the comparison; gains are positive where the head is better. */
export interface Precision {
  readonly n: number;
  readonly gain: number;
  readonly standardError: number;
  /** Half-width below which the interval never falls, and the scale it was made from. */
  readonly floor: number;
  readonly scale: number;
  /** Cases an independent unit, at least 1. */
  readonly casesPerUnit: number;
  readonly margin: number;
  readonly alpha: number;
}

const POWER = 0.8;

/** The true loss for which the interval lies wholly below 0 with a chance of 80 %, by the normal approximation. */
export function detectableEffect({ standardError, floor, alpha }: Precision): number {
  const z = normalQuantile(alpha);
  return (z + normalQuantile(1 - POWER)) * Math.max(standardError, floor / z);
}

/**
 * Cases that would settle an inconclusive verdict with a chance of 80 %, at the spread seen. The plan assumes that
 * there is no difference and asks when "within margin" is shown: (1.645 + 0.842)²·variance/δ² (495 at 20 % discordant
 * pairs and δ = 0.05). Where there are that many already, there is a difference, and the one seen is assumed.
 * @returns undefined where that does not tell either: the margin is 0 and no difference was seen
 */
export function casesNeeded(precision: Precision): number | undefined {
  const { n, gain, margin } = precision;
  const planned = casesFor(precision, margin);
  if (planned > n) return Number.isSafeInteger(planned) ? planned : undefined;
  const seen = casesFor(precision, Math.max(margin + gain, -gain));
  return seen > n && Number.isSafeInteger(seen) ? seen : undefined;
}

function casesFor({ n, standardError, scale, casesPerUnit, alpha }: Precision, distance: number): number {
  const z = normalQuantile(alpha);
  const forSpread = (n * standardError ** 2 * (z + normalQuantile(1 - POWER)) ** 2) / distance ** 2;
  // The floor scale·z²/(N+z²) must come below the distance as well.
  const forFloor = casesPerUnit * z * z * (scale / distance - 1);
  return distance > 0 ? Math.ceil(Math.max(forSpread, forFloor)) : Number.POSITIVE_INFINITY;
}
