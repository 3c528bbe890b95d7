import { describe, expect, test } from "vitest";
import { evalRunStatus } from "../../../schemas/eval-run.ts";
import { NOW, object, succeeded, written } from "../../../test/kind-objects.ts";
import type { GateOutcome, RunResult, TargetResult } from "../../eval/result.ts";
import { decide } from "./decide.ts";
import { summarize } from "./summary.ts";

const DIGEST = `sha256:${"f".repeat(64)}`;
const result = (more: Partial<RunResult> = {}): RunResult => ({
  version: 1,
  suite: { name: "s", revision: "1".repeat(64) },
  verdict: "Pass",
  passed: true,
  reason: "Passed",
  message: "all hold",
  targets: [],
  gates: [],
  critical: [],
  cases: [],
  worst: [],
  changes: { improved: 0, regressed: 0 },
  calls: { made: 3, saved: 4, retried: 1 },
  spent: { unknown: 0 },
  errors: {},
  seed: 1,
  startedAt: "2030-01-01T00:00:00Z",
  durationMs: 1,
  ...more,
});
const gate = (name: string, more: Partial<GateOutcome> = {}): GateOutcome => ({
  name,
  metric: "pass-rate",
  target: "main",
  outcome: "WithinMargin",
  passed: true,
  ...more,
});
const target = (passRate: number) => ({ name: "t", head: { passRate } }) as TargetResult;

test("the score is the mean over targets, and there is none for an Error", () => {
  const targets = [target(0.5), target(1)];
  expect(summarize(result({ targets }), DIGEST)).toMatchObject({
    score: "75.0%",
    calls: { made: 3, saved: 4 },
  });
  expect(summarize(result({ targets, verdict: "Error" }), DIGEST)).not.toHaveProperty("score");
  expect(summarize(result(), DIGEST)).not.toHaveProperty("score");
});

test("figures that the API would refuse are left out", () => {
  const odd = gate("g", {
    base: Number.NaN,
    lower: Number.NEGATIVE_INFINITY,
    upper: 1e300,
    head: 0,
    delta: -0.5,
  });
  const [shown] = summarize(result({ gates: [odd] }), DIGEST).gates;
  expect(shown).toEqual({ ...gate("g"), head: 0, delta: -0.5 });
});

describe("the largest run there can be", () => {
  const long = (character: string) => character.repeat(5_000);
  const gates = Array.from({ length: 256 }, (_, i) =>
    gate(`g${String(i).padStart(62, "0")}`, {
      target: "t".repeat(63),
      metric: "m".repeat(128),
      base: 0.623_188_405_797_101_4,
      head: 0.123_188_405_797_101_4,
      delta: -0.5,
      lower: -0.623_188_405_797_101_4,
      upper: -0.323_188_405_797_101_4,
      message: long("\u{1F6A2}"),
      ...(i === 200 ? { passed: false, outcome: "Regressed" as const } : {}),
      ...(i === 100 ? { outcome: "Inconclusive" as const } : {}),
    }),
  );
  const worst = Array.from({ length: 30 }, (_, i) => `${i}${long('"')}`);
  const output = summarize(
    result({ verdict: "Fail", passed: false, message: long("\u0001"), gates, worst }),
    DIGEST,
  );
  const run = object<Parameters<typeof decide>[0]["run"]>("EvalRun", {
    spec: {
      suite: { name: "s", revision: "1".repeat(64), bundle: DIGEST },
      trigger: "Merge",
      head: { bundle: DIGEST, revision: "2".repeat(64) },
    },
  });
  const decision = decide({ run, serviceAccountName: "team", evaluation: succeeded(output) }, NOW);
  const { status } = written(run, decision);

  test("has a status under 16 KiB that the schema accepts", () => {
    expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThan(16 * 1024);
    expect(evalRunStatus.parse(status)).toEqual(status);
    expect(output.worst).toHaveLength(10);
  });

  test("shows what fails first, then what cannot tell, in the suite's order", () => {
    const numbers = output.gates.map(({ name }) => Number(name.slice(1)));
    expect(numbers.length).toBeGreaterThan(5);
    expect(numbers).toContain(200);
    expect(numbers).toContain(100);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });

  test("shows at most 64 gates, however short", () => {
    const short = Array.from({ length: 100 }, (_, i) => gate(`g${i}`));
    expect(summarize(result({ gates: short }), DIGEST).gates).toHaveLength(64);
  });

  test("no text is cut inside a character", () => {
    for (const { message } of output.gates) expect(message?.isWellFormed()).toBe(true);
  });
});
