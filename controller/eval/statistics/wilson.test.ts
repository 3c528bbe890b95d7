import { describe, expect, it } from "vitest";
import reference from "./testdata/reference.json" with { type: "json" };
import { wilson } from "./wilson.ts";

describe("wilson", () => {
  // Newcombe 1998, Stat. Med. 17:857, table I, method 3, 95 % intervals.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("agrees with Newcombe's table for %i of %i", (successes, n, lower, upper) => {
    const actual = wilson(successes, n, 0.025);
    expect(actual[0]).toBeCloseTo(lower, 4);
    expect(actual[1]).toBeCloseTo(upper, 4);
  });

  it.each(reference.wilson)("agrees with statsmodels for $successes of $n at $alpha", (expected) => {
    const [lower, upper] = wilson(expected.successes, expected.n, expected.alpha);
    expect(lower).toBeCloseTo(expected.lower, 12);
    expect(upper).toBeCloseTo(expected.upper, 12);
  });

  it.each([
    [1, 0],
    [-1, 5],
    [6, 5],
    [Number.NaN, 5],
    [0, Number.POSITIVE_INFINITY],
  ])("refuses %d of %d", (successes, n) => {
    expect(() => wilson(successes, n)).toThrow(expect.objectContaining({ code: "InvalidCount" }));
  });

  it.each([0, 0.5, -1, Number.NaN])("refuses alpha %d", (alpha) => {
    expect(() => wilson(1, 2, alpha)).toThrow(expect.objectContaining({ code: "InvalidGate" }));
  });
});
