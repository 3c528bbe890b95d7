import { SlipwayError } from "../../errors.ts";
import { assertAlpha } from "./wilson.ts";

/**
 * Holm's step-down procedure (Holm 1979, Scand. J. Statist. 6:65): which hypotheses are rejected while the chance
 * of any false rejection stays at most alpha, whatever the dependence between the tests.
 * @returns one boolean a p-value, in the order given
 * @throws SlipwayError InvalidPValue
 */
export function holm(pValues: readonly number[], alpha = 0.05): boolean[] {
  assertAlpha(alpha);
  const bad = pValues.find((p) => !(p >= 0 && p <= 1));
  if (bad !== undefined)
    throw new SlipwayError("InvalidPValue", `${bad} is not a p-value`, { hint: "p-values lie in [0, 1]" });
  const order = pValues.map((_, index) => index).sort((a, b) => pValues[a]! - pValues[b]!);
  const rejected = new Array<boolean>(pValues.length).fill(false);
  for (const [rank, index] of order.entries()) {
    if (pValues[index]! > alpha / (pValues.length - rank)) break;
    rejected[index] = true;
  }
  return rejected;
}
