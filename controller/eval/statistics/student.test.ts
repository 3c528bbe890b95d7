import { describe, expect, it } from "vitest";
import { studentInterval, studentQuantile, studentTail } from "./student.ts";
import reference from "./testdata/reference.json" with { type: "json" };

describe("Student's distribution", () => {
  it.each(reference.student)("has scipy's tail at $t with $df degrees of freedom", ({ t, df, tail }) => {
    expect(Math.abs(studentTail(t, df) - tail)).toBeLessThan(1e-14);
  });

  it.each(reference.studentQuantile)("has scipy's quantile at $tail, $df", ({ tail, df, t }) => {
    expect(studentQuantile(tail, df) / t).toBeCloseTo(1, 9);
  });

  it.each(reference.oneSampleT)(
    "gives scipy's one-sample interval for $differences at $alpha",
    (expected) => {
      const n = expected.differences.length;
      const mean = expected.differences.reduce((a, b) => a + b) / n;
      const variance = expected.differences.reduce((total, d) => total + (d - mean) ** 2, 0) / n;
      const actual = studentInterval({ units: n, mean, variance }, n, 1, expected.alpha);
      expect(actual.lower).toBeCloseTo(expected.lower, 9);
      expect(actual.upper).toBeCloseTo(expected.upper, 9);
      expect(actual.lossPValue).toBeCloseTo(expected.less, 9);
    },
  );
});
