import { describe, expect, test } from "vitest";
import type { Gate } from "../../schemas/eval-suite.ts";
import { evaluateGates, type MeasuredCase, type MeasuredTarget } from "./gates.ts";
import type { CaseMeasure } from "./measure.ts";

const side = (passRate: number, more: Partial<CaseMeasure> = {}): CaseMeasure => ({
  passRate,
  score: passRate,
  metrics: {},
  ...more,
});
const gate = (more: Partial<Gate>): Gate => ({
  name: "g",
  metric: "pass-rate",
  onInconclusive: "Pass",
  ...more,
});
const target = (
  cases: readonly Omit<MeasuredCase, "id">[],
  more: Partial<MeasuredTarget> = {},
): MeasuredTarget => ({
  name: "t",
  hasBase: true,
  hasHead: true,
  cases: cases.map((row, index) => ({ id: `c${index}`, ...row })),
  ...more,
});
const evaluate = (gates: Gate[], targets: MeasuredTarget[], figures: string[] = []) =>
  evaluateGates({ gates, targets, repeats: 1, seed: 1, figures: new Set(figures) });
const times = <T>(count: number, item: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => item(index));

/** `losses` cases of `n` go from pass to fail. */
const losing = (n: number, losses: number) =>
  target(times(n, (index) => ({ base: side(1), head: side(index < losses ? 0 : 1) })));

describe("margins", () => {
  test("a clear loss is a regression, none is within the margin", () => {
    expect(evaluate([gate({ margin: 0.05 })], [losing(200, 40)])[0]).toMatchObject({
      outcome: "Regressed",
      passed: false,
    });
    expect(evaluate([gate({ margin: 0.05 })], [losing(200, 0)])[0]).toMatchObject({
      outcome: "WithinMargin",
      passed: true,
    });
  });

  test("what cannot be told passes or fails as the gate says", () => {
    const outcome = (onInconclusive: Gate["onInconclusive"]) =>
      evaluate([gate({ margin: 0.05, onInconclusive })], [losing(10, 1)])[0];
    expect(outcome("Pass")).toMatchObject({ outcome: "Inconclusive", passed: true });
    expect(outcome("Fail")).toMatchObject({ outcome: "Inconclusive", passed: false });
  });

  test("among many comparisons a weak regression is not taken for one", () => {
    // Five losses and no gain: p = 1/32, under 0.05 alone but not among twenty.
    const weak = losing(30, 5);
    const [alone] = evaluate([gate({ margin: 0.01 })], [weak]);
    expect(alone).toMatchObject({ outcome: "Regressed" });
    const many = [weak, ...times(19, (index) => ({ ...losing(30, 0), name: `other-${index}` }))];
    expect(evaluate([gate({ margin: 0.01 })], many)[0]).toMatchObject({
      outcome: "Inconclusive",
      message: expect.stringContaining("Holm"),
    });
  });

  test("of latency and cost less is better, and of metrics that are figures", () => {
    const slower = target(
      times(40, (index) => ({
        base: side(1, { latencyMs: 100 + index, metrics: { speed: 100 + index } }),
        head: side(1, { latencyMs: 300 + index, metrics: { speed: 300 + index } }),
      })),
    );
    expect(evaluate([gate({ metric: "latency", margin: 10 })], [slower])[0]).toMatchObject({
      outcome: "Regressed",
      delta: 200,
    });
    expect(evaluate([gate({ metric: "speed", margin: 10 })], [slower], ["speed"])[0]).toMatchObject({
      outcome: "Regressed",
    });
    expect(evaluate([gate({ metric: "speed", margin: 10 })], [slower])[0]).toMatchObject({
      outcome: "Improved",
    });
  });
});

describe("limits", () => {
  test.each([
    [{ min: 0.9 }, 0.9, "Met"],
    [{ min: 0.91 }, 0.9, "NotMet"],
    [{ max: 0.5 }, 0.9, "NotMet"],
    [{ min: 0.1, max: 0.95 }, 0.9, "Met"],
  ] as const)("%j on a mean of %d is %s", (limits, rate, outcome) => {
    const rows = target(
      times(10, (index) => ({ head: side(index < rate * 10 ? 1 : 0) })),
      { hasBase: false },
    );
    expect(evaluate([gate(limits)], [rows])[0]).toMatchObject({
      outcome,
      passed: outcome === "Met",
      head: rate,
    });
  });

  test("a broken limit counts whatever the margin says", () => {
    const both = losing(200, 0);
    expect(evaluate([gate({ margin: 0.05, max: 0.5 })], [both])[0]).toMatchObject({
      outcome: "NotMet",
      passed: false,
      delta: 0,
    });
  });
});

describe("what cannot be evaluated", () => {
  test("a margin without a base passes and says so", () => {
    const rows = target([{ head: side(1) }], { hasBase: false });
    expect(evaluate([gate({ margin: 0.1 })], [rows])[0]).toMatchObject({
      outcome: "NotEvaluated",
      passed: true,
    });
  });

  test("a cost that the head does not know is held against it, one that only the base does not know is not", () => {
    const unknownHead = target([
      { base: side(1, { cost: 1 }), head: side(1) },
      { base: side(1, { cost: 1 }), head: side(1, { cost: 1 }) },
    ]);
    expect(evaluate([gate({ metric: "cost", margin: 1 })], [unknownHead])[0]).toMatchObject({
      outcome: "NotEvaluated",
      passed: false,
    });
    const unknownBase = target([{ base: side(1), head: side(1, { cost: 1 }) }]);
    expect(evaluate([gate({ metric: "cost", margin: 1 })], [unknownBase])[0]).toMatchObject({
      outcome: "NotEvaluated",
      passed: true,
    });
  });
});
