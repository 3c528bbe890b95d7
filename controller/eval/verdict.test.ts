import { describe, expect, test } from "vitest";
import type { CaseRow, CaseSide, GateOutcome } from "./result.ts";
import { judge } from "./verdict.ts";
import { countChanges, worstCases } from "./worst.ts";

const gate = (outcome: GateOutcome["outcome"], passed: boolean): GateOutcome => ({
  name: "g",
  metric: "score",
  target: "t",
  outcome,
  passed,
});

describe("judge", () => {
  test.each([
    [[gate("WithinMargin", true)], "Pass", "Passed"],
    [[gate("WithinMargin", true), gate("Inconclusive", true)], "Inconclusive", "Inconclusive"],
    [[gate("Inconclusive", false)], "Fail", "GateFailed"],
    [[gate("Inconclusive", true), gate("NotMet", false)], "Fail", "GateFailed"],
    [[gate("NotEvaluated", true)], "Pass", "NotCompared"],
  ] as const)("%j", (gates, verdict, reason) => {
    expect(judge(gates, [])).toMatchObject({ verdict, reason, passed: verdict !== "Fail" });
  });

  test("a critical case that fails is a Fail, also when the base failed it", () => {
    const critical = [{ target: "t", id: "c", alsoOnBase: true }];
    expect(judge([gate("Improved", true)], critical)).toMatchObject({
      verdict: "Fail",
      reason: "CriticalCaseFailed",
      message: "critical: t/c",
    });
  });
});

const row = (
  id: string,
  base: number | undefined,
  head: number,
  more: { critical?: true; lost?: number } = {},
): CaseRow => {
  const side = (rate: number, score = rate): CaseSide => ({ pass: rate > 0.5, passRate: rate, score });
  return {
    id,
    target: "t",
    ...(more.critical && { critical: true }),
    ...(base !== undefined && { base: side(base) }),
    head: side(head, head - (more.lost ?? 0)),
  };
};

describe("worstCases", () => {
  test("from pass to fail first, critical ahead, then by lost score; what is no worse is left out", () => {
    const rows = [
      row("same", 1, 1),
      row("better", 0, 1),
      row("lower", 1, 1, { lost: 0.2 }),
      row("lower-still", 1, 1, { lost: 0.4 }),
      row("broken", 1, 0),
      row("critical", 1, 0, { critical: true }),
      row("flaky", 1, 0.75),
    ];
    expect(worstCases(rows)).toEqual(["t/critical", "t/broken", "t/flaky", "t/lower-still", "t/lower"]);
    expect(countChanges(rows)).toEqual({ improved: 1, regressed: 3 });
  });

  test("without a base, the failures", () => {
    expect(worstCases([row("ok", undefined, 1), row("bad", undefined, 0)])).toEqual(["t/bad"]);
  });

  test("at most ten", () => {
    expect(worstCases(Array.from({ length: 30 }, (_, index) => row(`c${index}`, 1, 0)))).toHaveLength(10);
  });
});
