import { SlipwayError } from "../../errors.ts";
import type { GateSpec, PairedUnit } from "./types.ts";
import { assertAlpha } from "./wilson.ts";

/** A gate with its defaults filled in. */
export interface Gate {
  readonly margin: number;
  readonly sign: 1 | -1;
  readonly alpha: number;
  /** Cases are single 0/1 observations. */
  readonly single: boolean;
  /** Width of the metric's range, the largest possible difference; undefined for latency and cost. */
  readonly range: number | undefined;
  readonly seed: number;
  readonly resamples: number;
}

const MAX_RESAMPLES = 10_000_000;
/** Fourth powers of values are formed; beyond this they could overflow. No metric comes near it. */
const MAX_VALUE = 1e60;

/** @throws SlipwayError InvalidGate */
export function parseGate(spec: GateSpec): Gate {
  const { margin, alpha = 0.05, resamples = 10_000, seed, repeats, binary } = spec;
  const bounds = spec.bounds ?? (binary ? [0, 1] : undefined);
  assertAlpha(alpha);
  const fail = (what: string, hint: string): never => {
    throw new SlipwayError("InvalidGate", what, { hint });
  };
  if (!(Number.isFinite(margin) && margin >= 0))
    fail(`margin is ${margin}`, "write a finite number, 0 or more");
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`seed is ${seed}`, "write a whole number, 0 or more");
  if (!Number.isSafeInteger(repeats) || repeats < 1)
    fail(`repeats is ${repeats}`, "write a whole number, 1 or more");
  if (!Number.isSafeInteger(resamples) || resamples > MAX_RESAMPLES || alpha * (resamples + 1) < 1) {
    fail(
      `resamples is ${resamples}`,
      `write a whole number from ${Math.ceil(1 / alpha)} to ${MAX_RESAMPLES}`,
    );
  }
  if (bounds && !(bounds[1] - bounds[0] > 1 / MAX_VALUE && Math.max(...bounds.map(Math.abs)) <= MAX_VALUE)) {
    fail(
      `bounds are [${bounds.join(", ")}]`,
      "write the smallest and the largest value that one observation can have",
    );
  }
  if (binary && bounds && (bounds[0] !== 0 || bounds[1] !== 1)) {
    fail(
      `bounds of a binary metric are [${bounds.join(", ")}]`,
      "leave them out: a binary observation is 0 or 1",
    );
  }
  return {
    margin,
    sign: spec.higherIsBetter ? 1 : -1,
    alpha,
    single: binary && repeats === 1,
    range: bounds && bounds[1] - bounds[0],
    seed,
    resamples,
  };
}

/** @throws SlipwayError NoCases, DuplicateCase or InvalidObservation */
export function checkCases(cases: readonly PairedUnit[], spec: GateSpec): void {
  if (cases.length === 0) {
    throw new SlipwayError("NoCases", "there is no case to compare", {
      hint: "a verdict needs at least one case with an answer on both sides",
    });
  }
  const [low, high] = spec.bounds ?? (spec.binary ? [0, 1] : [-MAX_VALUE, MAX_VALUE]);
  // Means over repeats may pass the end of the range by a rounding error.
  const slack = spec.bounds || spec.binary ? (high - low) * 1e-9 : 0;
  const single = spec.binary && spec.repeats === 1;
  const seen = new Set<string>();
  for (const { id, base, head } of cases) {
    if (seen.has(id)) {
      throw new SlipwayError("DuplicateCase", `case ${id} appears twice`, {
        hint: "give one unit a case: the mean over its repeats",
      });
    }
    seen.add(id);
    for (const value of [base, head]) {
      const valid = single ? value === 0 || value === 1 : value >= low - slack && value <= high + slack;
      if (!valid) {
        throw new SlipwayError("InvalidObservation", `case ${id} has the value ${value}`, {
          hint: single ? "a single binary observation is 0 or 1" : `a value lies in [${low}, ${high}]`,
        });
      }
    }
  }
}
