import { describe, expect, it } from "vitest";
import { normalQuantile } from "./normal.ts";
import { tango } from "./tango.ts";
import reference from "./testdata/reference.json" with { type: "json" };

describe("tango", () => {
  // Fagerland, Lydersen & Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8; also what the authors'
  // R package contingencytables expects. 95 % intervals.
  it.each([
    ["Cavo et al. 2012", 6, 16, 161, -0.124, -0.0054, 4],
    ["Bentur et al. 2009", 1, 7, 21, -0.517, -0.026, 3],
  ])("agrees with the published interval for %s", (_, gains, losses, n, lower, upper, digits) => {
    const actual = tango(gains, losses, n, 0.025);
    expect(actual.lower).toBeCloseTo(lower, digits);
    expect(actual.upper).toBeCloseTo(upper, digits);
  });

  it("tests a difference of 0 as McNemar does: chi-squared 0.7778, p 0.3778 for 28 against 35 of 164 (R's mcnemar.test)", () => {
    // Example and output: http://aoki2.si.gunma-u.ac.jp/lecture/Hiritu/McNemar-test-r.html
    const { lossPValue } = tango(28, 35, 164, 0.05);
    expect(2 * lossPValue).toBeCloseTo(0.3778, 4);
    expect(normalQuantile(lossPValue) ** 2).toBeCloseTo(0.7778, 4);
  });

  it.each(reference.tango)(
    "agrees with a searched likelihood and statsmodels' McNemar: +$gains -$losses of $n, $alpha",
    (expected) => {
      const { gains, losses, n, alpha } = expected;
      const actual = tango(gains, losses, n, alpha);
      expect(actual.lower).toBeCloseTo(expected.lower, 6);
      expect(actual.upper).toBeCloseTo(expected.upper, 6);
      expect(2 * Math.min(actual.lossPValue, 1 - actual.lossPValue)).toBeCloseTo(expected.mcnemar, 9);
    },
  );

  it.each([1, 8, 100])("is ±z²/(n+z²) for %i pairs that all agree", (n) => {
    const z = normalQuantile(0.05);
    const { lower, upper } = tango(0, 0, n, 0.05);
    expect(upper).toBeCloseTo((z * z) / (n + z * z), 12);
    expect(lower).toBe(-upper);
  });
});
