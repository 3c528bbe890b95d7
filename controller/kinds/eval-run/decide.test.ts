import { describe, expect, test } from "vitest";
import type { EvalRun } from "../../../schemas/eval-run.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  readyConditions,
  reconcilingConditions,
  running,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import { sameStatus } from "../../runtime/status.ts";
import { decide, type EvaluateOutput, evaluateDigest } from "./decide.ts";

const blob = (digit: string) => `sha256:${digit.repeat(64)}`;
const run = (shape: Partial<EvalRun> = {}) =>
  object<EvalRun>("EvalRun", {
    spec: {
      suite: { name: "triage", revision: "1".repeat(64), bundle: blob("1") },
      trigger: "Merge",
      head: { bundle: blob("2"), revision: "2".repeat(64) },
    },
    ...shape,
  });
const output = (more: Partial<EvaluateOutput> = {}): EvaluateOutput => ({
  verdict: "Pass",
  passed: true,
  reason: "Passed",
  message: "all 1 gates hold",
  score: "91.7%",
  gates: [],
  worst: [],
  calls: { made: 12, saved: 0 },
  result: blob("3"),
  ...more,
});
const error = (reason: string, attempt = 1) =>
  succeeded(output({ verdict: "Error", passed: false, reason, message: `${reason} happened` }), attempt);
const look = (evaluation: Parameters<typeof decide>[0]["evaluation"], of = run(), now = NOW) =>
  decide({ run: of, serviceAccountName: "team", evaluation }, now);
const MINUTE = 60_000;

describe("while it runs", () => {
  test("the first look starts it, written ahead", () => {
    const decision = look(undefined);
    expect(decision.effects).toMatchObject([{ name: "evaluate", attempt: 1, durable: true }]);
    expect(decision.status).toMatchObject({ progress: "0", shortRevision: "2".repeat(12) });
    expect(conditionsOf(decision)).toEqual(reconcilingConditions("Running"));
  });

  test("progress is shown, and there is no verdict yet", () => {
    const decision = look(running(2, { done: 3, total: 12 }));
    expect(decision.effects[0]?.attempt).toBe(2);
    expect(decision.status).toMatchObject({ progress: "3/12", startedAt: "2030-01-01T00:00:00Z" });
    expect(decision.status).not.toHaveProperty("verdict");
  });
});

describe("verdict", () => {
  test.each([
    ["Pass", true, "Passing=True/Pass", "Normal"],
    ["Fail", false, "Passing=False/Fail", "Warning"],
    ["Inconclusive", true, "Passing=Unknown/Inconclusive", "Warning"],
  ] as const)("%s is Ready, whatever it says", (verdict, passed, passing, type) => {
    const decision = look(succeeded(output({ verdict, passed })));
    expect(conditionsOf(decision)).toEqual([...readyConditions("Finished"), passing]);
    expect(decision.status).toMatchObject({
      verdict,
      passed,
      progress: "done",
      score: "91.7%",
      result: blob("3"),
    });
    expect(decision.events).toEqual([{ type, reason: `Evaluation${verdict}`, note: "all 1 gates hold" }]);
    expect(decision).not.toHaveProperty("requeueAfterMs");
  });

  test("Error names its reason", () => {
    const decision = look(error("BudgetExceeded"));
    expect(conditionsOf(decision)).toEqual([
      ...readyConditions("Finished"),
      "Passing=Unknown/BudgetExceeded",
    ]);
    expect(decision.status).toMatchObject({ verdict: "Error", passed: false });
  });
});

describe("trying again", () => {
  test.each([
    [1, 5],
    [2, 10],
    [3, 20],
    [4, 40],
    [5, 80],
  ])("an Error of attempt %i after %i minutes", (attempt, minutes) => {
    const waiting = look(error("ModelUnavailable", attempt));
    expect(waiting).toMatchObject({ effects: [{ attempt }], requeueAfterMs: minutes * MINUTE });
    expect(waiting.status.verdict).toBe("Error");
    const due = look(error("ModelUnavailable", attempt), undefined, later(minutes * MINUTE));
    expect(due.effects[0]?.attempt).toBe(attempt + 1);
    expect(conditionsOf(due)).toEqual(reconcilingConditions("Running"));
    expect(due.status).not.toHaveProperty("verdict");
  });

  test("the message says when, the last one does not", () => {
    expect(look(error("ModelUnavailable")).status.conditions?.[0]?.message).toBe(
      "ModelUnavailable happened; tried again at 2030-01-01T00:05:00Z",
    );
    const last = look(error("ModelUnavailable", 6), undefined, later(1e9));
    expect(last.effects[0]?.attempt).toBe(6);
    expect(last.status.conditions?.[0]?.message).toBe("ModelUnavailable happened");
    expect(last).not.toHaveProperty("requeueAfterMs");
  });

  test.each(["BudgetExceeded", "InvalidSuite", "UnknownFigure"])(
    "not after %s: it would be the same",
    (reason) => {
      const decision = look(error(reason), undefined, later(1e9));
      expect(decision.effects[0]?.attempt).toBe(1);
      expect(decision.status.verdict).toBe("Error");
    },
  );

  test("a verdict is never asked for again", () => {
    for (const verdict of ["Pass", "Fail", "Inconclusive"] as const)
      expect(look(succeeded(output({ verdict })), undefined, later(1e9)).effects[0]?.attempt).toBe(1);
  });

  test.each([
    ["at once the first time", failed("InternalError", true, 1), 2],
    ["at once the second time", failed("InternalError", true, 2), 3],
    ["later the third time", failed("InternalError", true, 3), 3],
    ["never when it cannot help", failed("BlobNotFound", false, 1), 1],
  ])("what failed outside of the evaluation: %s", (_, evaluation, attempt) => {
    expect(look(evaluation).effects[0]?.attempt).toBe(attempt);
  });

  test("what failed three times is an Error that says why, without a result", () => {
    const decision = look(failed("InternalError", true, 3));
    expect(decision.status).toMatchObject({ verdict: "Error", passed: false });
    expect(decision.status).not.toHaveProperty("result");
    expect(decision.requeueAfterMs).toBe(20 * MINUTE);
    expect(conditionsOf(decision)).toContain("Passing=Unknown/InternalError");
  });
});

describe("asked for by annotation", () => {
  const asked = (of: EvalRun, value: string): EvalRun => ({
    ...of,
    metadata: { ...of.metadata, annotations: { "slipway.dev/requestedAt": value } },
  });
  const finished = () => written(run(), look(error("BudgetExceeded", 6)));

  test("is another evaluation, which counts its attempts from one", () => {
    const again = asked(finished(), "1");
    expect(evaluateDigest(again)).not.toBe(evaluateDigest(finished()));
    const decision = look(undefined, again);
    expect(decision.effects[0]).toMatchObject({ attempt: 1, inputDigest: evaluateDigest(again) });
    expect(decision.status).not.toHaveProperty("verdict");
  });

  test("once: the echo in the status, and the annotation's removal, change nothing", () => {
    const again = asked(finished(), "1");
    const handled = written(again, look(undefined, again));
    expect(handled.status?.lastHandledRequestedAt).toBe("1");
    expect(evaluateDigest(handled)).toBe(evaluateDigest(again));
    const { annotations: _, ...metadata } = handled.metadata;
    expect(evaluateDigest({ ...handled, metadata })).toBe(evaluateDigest(again));
    expect(evaluateDigest(asked(handled, "2"))).not.toBe(evaluateDigest(again));
  });
});

describe("quiet", () => {
  const finished = written(run(), look(succeeded(output())));

  test("a second look writes nothing", () => {
    const again = written(finished, look(succeeded(output()), finished, later(1e9)), later(1e9));
    expect(again.status).toEqual(finished.status);
  });

  test("after a restart the intent log's clock, a moment apart, writes nothing either", () => {
    const remembered = {
      ...succeeded(output()),
      startedAt: NOW.getTime() + 400,
      finishedAt: NOW.getTime() + 1_200,
    };
    const again = written(finished, look(remembered, finished));
    expect(sameStatus(again.status as never, finished.status as never)).toBe(true);
  });

  test("a later evaluation with the same verdict has times of its own", () => {
    const later = { ...succeeded(output({ result: blob("4") })), finishedAt: NOW.getTime() + 5_000 };
    expect(look(later, finished).status.finishedAt).toBe("2030-01-01T00:00:05Z");
  });

  test("a tenant that changes, or goes, does not run finished evaluations again", () => {
    const as = (serviceAccountName: string) =>
      decide({ run: run(), serviceAccountName, evaluation: undefined }, NOW).effects[0];
    expect(as("team")?.inputDigest).toBe(as("default")?.inputDigest);
    expect(as("team")?.input).toMatchObject({ serviceAccountName: "team" });
  });
});
