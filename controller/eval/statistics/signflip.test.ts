import { describe, expect, it } from "vitest";
import { signFlip } from "./signflip.ts";
import reference from "./testdata/reference.json" with { type: "json" };
import type { Units } from "./units.ts";

const units = (sums: number[], weights = sums.map(() => 1)): Units => ({
  sums: Float64Array.from(sums),
  weights: Float64Array.from(weights),
});

describe("signFlip", () => {
  it.each(reference.signFlip)(
    "inverts scipy's exact permutation test: $sums, $weights, $alpha",
    (expected) => {
      const actual = signFlip(units(expected.sums, expected.weights), expected.alpha, 10_000, 1);
      expect(actual.lower).toBeCloseTo(expected.lower, 6);
      expect(actual.upper).toBeCloseTo(expected.upper, 6);
      expect(actual.lossPValue).toBeCloseTo(expected.less, 12);
    },
  );

  // Both sides are Monte Carlo; ours has the larger error, sqrt(0.05·0.95/100,000) = 0.0007 of probability.
  it.each(reference.monteCarlo)("draws the limits that numpy draws for skewed differences", (expected) => {
    const actual = signFlip(units(expected.differences), 0.05, 100_000, 5);
    const width = expected.upper - expected.lower;
    expect(Math.abs(actual.lower - expected.lower)).toBeLessThan(0.02 * width);
    expect(Math.abs(actual.upper - expected.upper)).toBeLessThan(0.02 * width);
    expect(Math.abs(actual.lossPValue - expected.less)).toBeLessThan(0.006);
  });

  it("draws nearly what enumerating gives, with and without equal weights", () => {
    const sums = [0.4, -1, 0.3, 2, -0.2, 0.9, -0.4, 1.1, 0, 0.7, -0.6, 0.5];
    for (const weights of [sums.map(() => 1), sums.map((_, i) => 1 + (i % 4))]) {
      const exact = signFlip(units(sums, weights), 0.05, 4096, 3);
      const drawn = signFlip(units(sums, weights), 0.05, 4095, 3);
      expect(drawn).not.toEqual(exact);
      expect(Math.abs(drawn.lower - exact.lower)).toBeLessThan(0.05);
      expect(Math.abs(drawn.upper - exact.upper)).toBeLessThan(0.05);
      expect(Math.abs(drawn.lossPValue - exact.lossPValue)).toBeLessThan(0.02);
    }
  });

  it("agrees with McNemar's exact test where all that differ got worse: 2^-k", () => {
    expect(signFlip(units([-1, -1, -1, -1, -1, 0, 0, 0]), 0.05, 10_000, 1).lossPValue).toBe(1 / 32);
  });

  it("counts a sum that is 0 but for rounding as a tie", () => {
    const { lossPValue } = signFlip(units([0.1, 0.2, -0.3, -0.1, -0.2, 0.3]), 0.05, 10_000, 1);
    const whole = signFlip(units([1, 2, -3, -1, -2, 3]), 0.05, 10_000, 1);
    expect(lossPValue).toBe(whole.lossPValue);
  });
});
