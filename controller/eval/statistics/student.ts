import type { Spread } from "./bounded.ts";
import { solveDecreasing } from "./normal.ts";
import type { Interval } from "./types.ts";

/** P(T > t) of Student's distribution with `df` degrees of freedom, an integer >= 1, within 1e-14 (Abramowitz & Stegun 26.7.3-4). */
export function studentTail(t: number, df: number): number {
  if (t < 0) return 1 - studentTail(-t, df);
  const angle = Math.atan(t / Math.sqrt(df));
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const odd = df % 2 === 1;
  let term = odd ? cos : 1;
  let sum = 0;
  for (let i = odd ? 1 : 0; i <= df - 2; i += 2) {
    sum += term;
    term *= (cos * cos * (i + 1)) / (i + 2);
  }
  const inside = odd ? (2 / Math.PI) * (angle + sin * sum) : sin * sum;
  return (1 - inside) / 2;
}

/** The t with P(T > t) = `tail`, for 0 < tail <= 0.5. */
export function studentQuantile(tail: number, df: number): number {
  return solveDecreasing(0, 1 / tail ** 2 + 10, (t) => studentTail(t, df) - tail);
}

/**
 * Student's interval for the mean of `count` units. One unit shows no spread: `scale` stands in for it, which leaves
 * any verdict open that the margin is not far larger than.
 */
export function studentInterval(
  { units, mean, variance }: Spread,
  count: number,
  scale: number,
  alpha: number,
): Interval {
  const df = Math.max(1, count - 1);
  const error = count === 1 ? scale : Math.sqrt((variance * count) / (count - 1) / units);
  const half = studentQuantile(alpha, df) * error;
  const lossPValue = error > 0 ? studentTail(-mean / error, df) : mean < 0 ? 0 : 0.5;
  return { lower: mean - half, upper: mean + half, lossPValue };
}
