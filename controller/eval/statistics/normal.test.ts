import { describe, expect, it } from "vitest";
import { normalQuantile, normalTail } from "./normal.ts";
import reference from "./testdata/reference.json" with { type: "json" };

describe("the normal distribution", () => {
  it.each(reference.normal)("has scipy's tail at $z", ({ z, tail }) => {
    expect(Math.abs(normalTail(z) / tail - 1)).toBeLessThan(1e-12);
  });

  it.each(reference.normalQuantile)("has scipy's quantile at $tail", ({ tail, z }) => {
    expect(normalQuantile(tail)).toBeCloseTo(z, 10);
  });

  it("has no mass beyond infinity", () => {
    expect(normalTail(Number.POSITIVE_INFINITY)).toBe(0);
    expect(normalTail(Number.NEGATIVE_INFINITY)).toBe(1);
  });
});
