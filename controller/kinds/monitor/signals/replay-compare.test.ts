import { describe, expect, test } from "vitest";
import type { CaseRow } from "../../../eval/result.ts";
import { type Comparison, compareRuns } from "./replay-compare.ts";

const row = (id: string, passRate: number, latencyMs?: number): CaseRow => ({
  id,
  target: "t",
  head: {
    pass: passRate > 0.5,
    passRate,
    score: passRate / 2,
    ...(latencyMs === undefined ? {} : { latencyMs }),
  },
});
const rows = (passing: number, of: number) =>
  Array.from({ length: of }, (_, index) => row(`c${index}`, index < passing ? 1 : 0, 100 + index));
const compare = (changes: Partial<Comparison> = {}) =>
  compareRuns({ metric: "pass-rate", rows: rows(8, 10), repeats: 1, clusters: new Map(), ...changes });

test.each([
  ["pass-rate", 0.8],
  ["score", 0.4],
  ["latency", 104.5],
] as const)("without a reference: the mean %s", (metric, value) => {
  expect(compare({ metric })).toEqual({ value, mean: value });
});

describe("against a reference", () => {
  test("the difference with an interval around it", () => {
    const found = compare({ rows: rows(40, 100), reference: rows(80, 100) });
    expect(found).toMatchObject({ value: expect.closeTo(-0.4, 9), mean: expect.closeTo(0.4, 9) });
    const { lower = 0, upper = 0 } = found as { lower?: number; upper?: number };
    expect(lower).toBeLessThan(-0.4);
    expect(upper).toBeGreaterThan(-0.4);
    expect(upper).toBeLessThan(0);
  });

  test("few equal cases prove nothing", () => {
    const { lower = 0, upper = 0 } = compare({ rows: rows(8, 8), reference: rows(8, 8) }) as {
      lower?: number;
      upper?: number;
    };
    expect(lower).toBeLessThan(-0.2);
    expect(upper).toBeGreaterThan(0.2);
  });

  test("cases of one cluster count as one", () => {
    const clusters = new Map(rows(0, 20).map(({ id }) => [id, "same"]));
    const apart = compare({ rows: rows(5, 20), reference: rows(20, 20) }) as { upper: number };
    const together = compare({ rows: rows(5, 20), reference: rows(20, 20), clusters }) as { upper: number };
    expect(together.upper).toBeGreaterThan(apart.upper);
  });

  test("pairs by target and case; who is alone does not count", () => {
    const reference = [row("c0", 1), row("gone", 0), { ...row("c1", 0), target: "other" }];
    expect(compare({ rows: [row("c0", 0), row("c1", 1)], reference })).toMatchObject({
      value: -1,
      mean: 0.5,
    });
    expect(compare({ reference: [row("gone", 1)] })).toMatchObject({ reason: "NoCaseMeasured" });
  });
});

test("nothing measured", () => {
  expect(compare({ rows: [] })).toMatchObject({ reason: "NoCaseMeasured" });
  expect(compare({ metric: "latency", rows: [row("a", 1)] })).toMatchObject({ reason: "NoCaseMeasured" });
});
