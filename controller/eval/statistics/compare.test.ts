import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePaired } from "./compare.ts";
import { normalQuantile } from "./normal.ts";
import type { GateSpec, PairedUnit } from "./types.ts";

const binary: GateSpec = { margin: 0.05, higherIsBetter: true, binary: true, repeats: 1, seed: 1 };
const graded: GateSpec = { ...binary, binary: false, bounds: [0, 1] };
const latency: GateSpec = { margin: 0.1, higherIsBetter: false, binary: false, repeats: 1, seed: 1 };

/** `gains` pairs 0 → 1, `losses` pairs 1 → 0, the rest right on both sides. */
function pairs(gains: number, losses: number, n: number): PairedUnit[] {
  return Array.from({ length: n }, (_, i) => ({
    id: `case-${i}`,
    base: i < gains ? 0 : 1,
    head: i >= gains && i < gains + losses ? 0 : 1,
  }));
}

const values = (base: number[], head: number[]): PairedUnit[] =>
  base.map((value, i) => ({ id: `${i}`, base: value, head: head[i]! }));

describe("the verdict", () => {
  it("is within margin, improved, regressed or inconclusive by the interval", () => {
    expect(comparePaired(pairs(20, 20, 1000), binary).outcome).toBe("WithinMargin");
    expect(comparePaired(pairs(40, 10, 200), binary).outcome).toBe("Improved");
    expect(comparePaired(pairs(5, 40, 200), binary).outcome).toBe("Regressed");
    expect(comparePaired(pairs(10, 10, 100), binary).outcome).toBe("Inconclusive");
  });

  it("is within margin where the loss is sure but smaller than the margin", () => {
    const result = comparePaired(pairs(0, 20, 2000), binary);
    expect(result.upper).toBeLessThan(0);
    expect(result.outcome).toBe("WithinMargin");
  });

  it.each([1, 3])("proves nothing with all-equal answers on eight cases (%i repeats)", (repeats) => {
    const result = comparePaired(pairs(0, 0, 8), { ...binary, repeats });
    const z = normalQuantile(0.05);
    expect(result.outcome).toBe("Inconclusive");
    expect(result.upper).toBeCloseTo((z * z) / (8 + z * z), 12);
    expect(result.casesNeeded).toBe(52);
    expect(comparePaired(pairs(0, 0, 52), { ...binary, repeats }).outcome).toBe("WithinMargin");
    expect(comparePaired(pairs(0, 0, 51), { ...binary, repeats }).outcome).toBe("Inconclusive");
  });

  it("needs about 500 cases at 20 % discordant pairs and a margin of 5 points", () => {
    expect(comparePaired(pairs(10, 10, 100), binary).casesNeeded).toBe(495);
    expect(comparePaired(pairs(10, 10, 100), { ...binary, repeats: 2 }).casesNeeded).toBe(495);
  });

  it("plans with the difference seen where the cases would do if there were none", () => {
    const result = comparePaired(pairs(40, 55, 600), binary);
    expect(result.outcome).toBe("Inconclusive");
    // (1.645 + 0.842)²·0.158/0.025², the loss seen being as far from 0 as from the margin.
    expect(result.casesNeeded).toBeGreaterThan(1550);
    expect(result.casesNeeded).toBeLessThan(1575);
  });

  it("knows no number of cases where nothing differs and no loss is tolerated", () => {
    const result = comparePaired(pairs(0, 0, 50), { ...binary, margin: 0 });
    expect(result.outcome).toBe("Inconclusive");
    expect(result).not.toHaveProperty("casesNeeded");
  });

  it("takes lower as better for latency and keeps the units head minus base", () => {
    const base = Array.from({ length: 40 }, (_, i) => 1 + (i % 7) / 10);
    const slower = comparePaired(
      values(
        base,
        base.map((t, i) => t + 0.5 + (i % 3) / 20),
      ),
      latency,
    );
    expect(slower.outcome).toBe("Regressed");
    expect(slower.lower).toBeGreaterThan(0.3);
    expect(slower.regressionPValue).toBeLessThan(0.01);
    const faster = comparePaired(
      values(
        base,
        base.map((t, i) => t - 0.5 + (i % 3) / 20),
      ),
      latency,
    );
    expect(faster.outcome).toBe("Improved");
    expect(faster.upper).toBeLessThan(-0.3);
  });

  it("sees fewer independent units where cases share clusters", () => {
    const cases = pairs(0, 10, 40);
    const clustered = cases.map((unit, i) => ({ ...unit, cluster: `doc-${Math.floor(i / 10)}` }));
    expect(comparePaired(cases, binary)).toMatchObject({
      outcome: "Regressed",
      clusters: 40,
      method: "tango",
    });
    expect(comparePaired(clustered, binary)).toMatchObject({ outcome: "Inconclusive", clusters: 4, n: 40 });
  });

  it("uses Tango's interval where every cluster is a single case", () => {
    const cases = pairs(3, 9, 40);
    const alone = cases.map((unit) => ({ ...unit, cluster: unit.id }));
    expect(comparePaired(alone, binary)).toEqual(comparePaired(cases, binary));
  });

  it("leaves one case inconclusive", () => {
    expect(comparePaired(pairs(0, 1, 1), binary).outcome).toBe("Inconclusive");
    expect(comparePaired(pairs(1, 0, 1), graded).outcome).toBe("Inconclusive");
    expect(comparePaired(values([1], [3]), latency).outcome).toBe("Inconclusive");
  });
});

describe("bad input", () => {
  it.each<[string, PairedUnit[], Partial<GateSpec>, string]>([
    ["no case", [], {}, "NoCases"],
    ["NaN", values([Number.NaN], [1]), {}, "InvalidObservation"],
    ["infinity", values([1], [Number.POSITIVE_INFINITY]), { binary: false }, "InvalidObservation"],
    ["a score out of bounds", values([0.5], [1.5]), { binary: false, bounds: [0, 1] }, "InvalidObservation"],
    ["a half in a binary metric", values([0.5], [1]), {}, "InvalidObservation"],
    ["a case twice", [...pairs(0, 0, 1), ...pairs(0, 0, 1)], {}, "DuplicateCase"],
    ["a negative margin", pairs(0, 0, 2), { margin: -0.1 }, "InvalidGate"],
    ["a NaN margin", pairs(0, 0, 2), { margin: Number.NaN }, "InvalidGate"],
    ["alpha 1", pairs(0, 0, 2), { alpha: 1 }, "InvalidGate"],
    ["too few resamples", pairs(0, 0, 2), { resamples: 5 }, "InvalidGate"],
    ["a broken seed", pairs(0, 0, 2), { seed: 0.5 }, "InvalidGate"],
    ["no repeat", pairs(0, 0, 2), { repeats: 0 }, "InvalidGate"],
    ["a value too large to square", values([1], [1e200]), { binary: false }, "InvalidObservation"],
    [
      "bounds without end",
      pairs(0, 0, 2),
      { binary: false, bounds: [0, Number.POSITIVE_INFINITY] },
      "InvalidGate",
    ],
    ["NaN bounds", pairs(0, 0, 2), { binary: false, bounds: [Number.NaN, 1] }, "InvalidGate"],
    ["empty bounds", pairs(0, 0, 2), { binary: false, bounds: [1, 1] }, "InvalidGate"],
  ])("%s is refused with a code and a hint", (_, cases, spec, code) => {
    expect(() => comparePaired(cases, { ...binary, ...spec })).toThrow(
      expect.objectContaining({ code, hint: expect.stringMatching(/\w/) }),
    );
  });
});

describe("properties", () => {
  const quarter = fc.integer({ min: 0, max: 4 }).map((k) => k / 4);
  const unit = fc.record({
    base: quarter,
    head: quarter,
    cluster: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
  });
  const anyCases = fc.array(unit, { minLength: 1, maxLength: 40 }).map((units) =>
    units.map(({ cluster, ...rest }, i) => ({
      id: `${i}`,
      ...rest,
      ...(cluster === undefined ? {} : { cluster }),
    })),
  );
  const bit = fc.constantFrom(0, 1);
  const anySpec = fc
    .constantFrom<GateSpec>(graded, { ...latency, higherIsBetter: true }, { ...binary, repeats: 4 }, latency)
    .map((spec) => ({ ...spec, resamples: 999 }));

  it("swapping base and head mirrors the interval exactly", () => {
    fc.assert(
      fc.property(anyCases, anySpec, (cases, spec) => {
        const there = comparePaired(cases, spec);
        const back = comparePaired(
          cases.map((c) => ({ ...c, base: c.head, head: c.base })),
          spec,
        );
        expect([back.delta, back.lower, back.upper]).toEqual([
          0 - there.delta,
          0 - there.upper,
          0 - there.lower,
        ]);
      }),
    );
  });

  it("the order of the cases does not matter", () => {
    const shuffled = anyCases.chain((cases) =>
      fc.tuple(
        fc.constant(cases),
        fc.shuffledSubarray(cases, { minLength: cases.length, maxLength: cases.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, anySpec, ([cases, other], spec) => {
        expect(comparePaired(other, spec)).toEqual(comparePaired(cases, spec));
      }),
    );
  });

  it("a larger margin never turns a pass into anything else, and never moves the interval", () => {
    const passes = (outcome: string) => outcome === "Improved" || outcome === "WithinMargin";
    const margin = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(anyCases, anySpec, margin, margin, (cases, spec, a, b) => {
        const strict = comparePaired(cases, { ...spec, margin: Math.min(a, b) });
        const lax = comparePaired(cases, { ...spec, margin: Math.max(a, b) });
        expect([lax.lower, lax.upper]).toEqual([strict.lower, strict.upper]);
        if (passes(strict.outcome)) expect(passes(lax.outcome)).toBe(true);
      }),
    );
  });

  it("results are finite, ordered, within the range, no narrower than the floor, and agree with the p-value", () => {
    fc.assert(
      fc.property(anyCases, anySpec, (cases, spec) => {
        const result = comparePaired(cases, spec);
        for (const value of Object.values(result))
          if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
        expect(result.lower).toBeLessThanOrEqual(result.delta);
        expect(result.upper).toBeGreaterThanOrEqual(result.delta);
        const z2 = normalQuantile(0.05) ** 2;
        if (spec.bounds || spec.binary) {
          expect(result.lower).toBeGreaterThanOrEqual(-1);
          expect(result.upper).toBeLessThanOrEqual(1);
          const floor = z2 / (result.clusters + z2) - 1e-12;
          expect(result.delta - result.lower >= floor || result.lower === -1).toBe(true);
          expect(result.upper - result.delta >= floor || result.upper === 1).toBe(true);
        }
        const lost = spec.higherIsBetter ? result.upper < 0 : result.lower > 0;
        expect(result.regressionPValue <= 0.05).toBe(lost);
        if (result.outcome === "Regressed") expect(lost).toBe(true);
      }),
    );
  });

  it("values of any size leave no NaN or infinity", () => {
    const value = fc.oneof(
      fc.double({ min: -1e60, max: 1e60, noNaN: true }),
      fc.constantFrom(0, 5e-324, 1e-200, 1e60, -1e60),
    );
    const anyValues = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 20 });
    const bounds = fc.constantFrom<GateSpec["bounds"]>(undefined, [-1e60, 1e60]);
    fc.assert(
      fc.property(anyValues, bounds, fc.boolean(), (rows, range, higherIsBetter) => {
        const cases = rows.map(([base, head], i) => ({ id: `${i}`, base, head }));
        const spec = { ...latency, higherIsBetter, resamples: 99, ...(range && { bounds: range }) };
        for (const value of Object.values(comparePaired(cases, spec))) {
          if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
        }
      }),
    );
  });

  it("a case that gets worse never raises the interval (single binary observations)", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bit, bit), { minLength: 1, maxLength: 60 }), fc.nat(), (rows, at) => {
        const cases = values(
          rows.map(([base]) => base),
          rows.map(([, head]) => head),
        );
        const worse = cases.map((c, i) => (i === at % cases.length ? { ...c, head: 0 } : c));
        const before = comparePaired(cases, binary);
        const after = comparePaired(worse, binary);
        expect(after.lower).toBeLessThanOrEqual(before.lower + 1e-9);
        expect(after.upper).toBeLessThanOrEqual(before.upper + 1e-9);
      }),
    );
  });

  it("the same seed gives the same result", () => {
    const cases = values(
      Array.from({ length: 60 }, (_, i) => (i % 9) / 10),
      Array.from({ length: 60 }, (_, i) => (i % 11) / 10),
    );
    expect(comparePaired(cases, graded)).toEqual(comparePaired(cases, graded));
    expect(comparePaired(cases, { ...graded, seed: 2 })).not.toEqual(comparePaired(cases, graded));
  });
});
