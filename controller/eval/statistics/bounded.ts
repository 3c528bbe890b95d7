import { normalQuantile, normalTail } from "./normal.ts";
import type { Interval } from "./types.ts";

/** What the paired differences look like: `units` independent ones (effective number), their mean and variance. */
export interface Spread {
  readonly units: number;
  readonly mean: number;
  /** Variance of one unit's difference, divisor `units`. */
  readonly variance: number;
}

/**
 * Score interval for a mean of differences in [-range, range]. The hypothesis "the mean is μ" is given the least
 * favourable spread that the data allow: the observed distribution with as much mass moved to the worst value as
 * brings its mean to μ. For 0/-1 differences it is Wilson's interval, and for differences that are all 0 it is
 * ±range·z²/(N+z²), as Tango's. Resampling cannot know of losses that happen not to be in the sample; this does.
 */
export function boundedScore(spread: Spread, range: number, alpha: number): Interval {
  const z = normalQuantile(alpha);
  const units = spread.units;
  const mean = spread.mean / range;
  const variance = spread.variance / range ** 2;
  return {
    lower: range * lowerLimit({ units, mean, variance }, z),
    upper: -range * lowerLimit({ units, mean: -mean, variance }, z),
    lossPValue: lossPValue({ units, mean, variance }),
  };
}

/** Solves units·(mean-μ)² = z²·V(μ) for μ = mean - q(mean+1), V(μ) = (1-q)(variance+mean²) + q - μ²; range 1. */
function lowerLimit({ units, mean, variance }: Spread, z: number): number {
  const reach = mean + 1;
  if (reach <= 0) return -1;
  const a = (units + z * z) * reach * reach;
  const b = z * z * (reach * reach - variance);
  const moved = (b + Math.sqrt(b * b + 4 * a * z * z * variance)) / (2 * a);
  return Math.max(mean - moved * reach, -1);
}

function lossPValue({ units, mean, variance }: Spread): number {
  const loss = -mean;
  if (loss <= 0) return 0.5;
  const moved = loss / (loss + 1);
  const atZero = (1 - moved) * (variance + loss * loss) + moved;
  return normalTail(loss * Math.sqrt(units / atZero));
}

/**
 * The interval is never narrower than this on either side: `scale`·z²/(units+z²), what Tango's gives for pairs that
 * all agree, so that a few cases without any difference prove nothing.
 */
export function floorInterval(
  { units, mean }: Spread,
  scale: number,
  alpha: number,
): Interval & { half: number } {
  const z = normalQuantile(alpha);
  const half = (scale * z * z) / (units + z * z);
  const share = scale > 0 ? Math.min(1, -mean / scale) : 1;
  const lossPValue = mean >= 0 ? 0.5 : share === 1 ? 0 : normalTail(Math.sqrt((units * share) / (1 - share)));
  return { lower: mean - half, upper: mean + half, lossPValue, half };
}
