import { SlipwayError } from "../../errors.ts";
import { normalQuantile } from "./normal.ts";

/**
 * Wilson's score interval for one rate (Wilson 1927; method 3 of Newcombe 1998, Stat. Med. 17:857).
 * @param alpha one-sided error of each end: 0.05 gives a 90 % interval
 * @throws SlipwayError InvalidCount unless 0 <= successes <= n, n >= 1
 */
export function wilson(successes: number, n: number, alpha = 0.05): [number, number] {
  if (!(Number.isFinite(n) && n > 0 && successes >= 0 && successes <= n)) {
    throw new SlipwayError("InvalidCount", `cannot make a rate of ${successes} successes in ${n} trials`, {
      hint: "give 0 <= successes <= n with n at least 1",
    });
  }
  assertAlpha(alpha);
  const z = normalQuantile(alpha);
  const failures = n - successes;
  const centre = successes + (z * z) / 2;
  const spread = z * Math.sqrt((successes * failures) / n + (z * z) / 4);
  const total = n + z * z;
  // At the ends the formula cancels to 0 or 1 only up to rounding.
  return [successes === 0 ? 0 : (centre - spread) / total, failures === 0 ? 1 : (centre + spread) / total];
}

/** @throws SlipwayError InvalidGate unless 0 < alpha < 0.5 */
export function assertAlpha(alpha: number): void {
  if (!(alpha > 0 && alpha < 0.5)) {
    throw new SlipwayError("InvalidGate", `alpha is ${alpha}`, {
      hint: "write a one-sided error rate above 0 and below 0.5, such as 0.05",
    });
  }
}
