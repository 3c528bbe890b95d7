import { describe, expect, it } from "vitest";
import { boundedScore, floorInterval, type Spread } from "./bounded.ts";
import { normalQuantile } from "./normal.ts";
import reference from "./testdata/reference.json" with { type: "json" };
import { wilson } from "./wilson.ts";

function spreadOf(differences: number[]): Spread {
  const units = differences.length;
  const mean = differences.reduce((a, b) => a + b, 0) / units;
  return { units, mean, variance: differences.reduce((total, d) => total + (d - mean) ** 2, 0) / units };
}

describe("boundedScore", () => {
  it.each(reference.bounded)(
    "agrees with its definition solved by scipy: $differences, $alpha",
    (expected) => {
      const actual = boundedScore(spreadOf(expected.differences), expected.range, expected.alpha);
      expect(actual.lower).toBeCloseTo(expected.lower, 9);
      expect(actual.upper).toBeCloseTo(expected.upper, 9);
    },
  );

  it("is Wilson's interval for one-sided losses", () => {
    const { lower, upper } = boundedScore(spreadOf([-1, -1, 0, 0, 0, 0, 0, 0, 0, 0]), 1, 0.05);
    expect(-lower).toBeCloseTo(wilson(2, 10)[1], 12);
    expect(upper).toBeGreaterThan(-wilson(2, 10)[0]);
  });

  it("has the p-value that its upper limit is the inversion of", () => {
    const spread = spreadOf([-0.5, -0.25, 0.25, -1, -0.75, 0]);
    const { lossPValue } = boundedScore(spread, 1, 0.05);
    expect(boundedScore(spread, 1, lossPValue).upper).toBeCloseTo(0, 9);
  });
});

describe("floorInterval", () => {
  it("is scale·z²/(N+z²) to each side, with the p-value that it is the inversion of", () => {
    const z = normalQuantile(0.05);
    const spread = { units: 8, mean: -0.2, variance: 0 };
    const { half, lower, upper, lossPValue } = floorInterval(spread, 2, 0.05);
    expect(half).toBeCloseTo((2 * z * z) / (8 + z * z), 12);
    expect([lower, upper]).toEqual([-0.2 - half, -0.2 + half]);
    expect(floorInterval(spread, 2, lossPValue).upper).toBeCloseTo(0, 9);
  });
});
