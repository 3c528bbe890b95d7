import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holm } from "./holm.ts";
import reference from "./testdata/reference.json" with { type: "json" };

describe("holm", () => {
  it("steps down: 0.005 <= 0.05/4 and 0.01 <= 0.05/3, but 0.03 > 0.05/2 ends it (0.04 alone would pass)", () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([true, false, false, true]);
  });

  it.each(reference.holm)(
    "agrees with statsmodels for $pValues at $alpha",
    ({ pValues, alpha, rejected }) => {
      expect(holm(pValues, alpha)).toEqual(rejected);
    },
  );

  it("rejects all that Bonferroni rejects and nothing above alpha", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (pValues) => {
        for (const [i, rejected] of holm(pValues).entries()) {
          if (pValues[i]! <= 0.05 / pValues.length) expect(rejected).toBe(true);
          if (pValues[i]! > 0.05) expect(rejected).toBe(false);
        }
      }),
    );
  });

  it("has nothing to reject among no p-values, and refuses what is not one", () => {
    expect(holm([])).toEqual([]);
    expect(() => holm([0.1, Number.NaN])).toThrow(expect.objectContaining({ code: "InvalidPValue" }));
    expect(() => holm([1.5])).toThrow(expect.objectContaining({ code: "InvalidPValue" }));
  });
});
