import { describe, expect, test } from "vitest";
import type { EvalRunStatus } from "../../schemas/eval-run.ts";
import { repositoryWith } from "../../test/pull-request.ts";
import type { LoadError } from "../gitops/manifest.ts";
import type { Snapshot } from "../gitops/snapshot.ts";
import type { Change, ChangeKind } from "../graph/impact.ts";
import type { Assessment } from "./assess.ts";
import type { DataState } from "./data/state.ts";
import { type ObservedPullRequest, type RunState, statusContext, verdictOf } from "./decide.ts";
import type { NotEvaluated, NotEvaluatedReason } from "./plan.ts";

const snapshot = (errors: readonly LoadError[] = []): Snapshot => ({
  objects: [],
  graph: { nodes: new Map(), order: [] },
  errors,
  held: new Map(),
  incomplete: false,
  cases: new Map(),
  blobs: new Map(),
  warnings: [],
});

const fault = (file: string, message: string, line = 1): LoadError => ({ location: { file, line }, message });

function assessment(change: ChangeKind | undefined, more: Partial<Assessment> = {}): Assessment {
  const changes: Change[] =
    change === undefined
      ? []
      : [{ key: "PromptTemplate/triage", change, baseRevision: "a", headRevision: "b" }];
  return {
    baseSha: "a".repeat(40),
    headSha: "b".repeat(40),
    conflicts: [],
    base: snapshot(),
    head: snapshot(),
    impact: { changes, suites: [], suiteEdits: [] },
    ...more,
  };
}

const gate = { name: "right-team", metric: "pass-rate", target: "triage", base: 0.84, head: 0.61 };

function run(suite: string, status: EvalRunStatus | undefined, gating = true): RunState {
  const side = { targets: [] };
  return {
    name: `pr7-${suite}`,
    planned: { suite, gating, via: [], bundle: {} as RunState["planned"]["bundle"], base: side, head: side },
    run: status && {
      apiVersion: "slipway.dev/v1alpha1",
      kind: "EvalRun",
      metadata: { name: `pr7-${suite}` },
      spec: {} as never,
      status,
    },
    result: undefined,
  };
}

const passed: EvalRunStatus = {
  verdict: "Pass",
  passed: true,
  gates: [{ ...gate, head: 0.9, outcome: "Improved", passed: true }],
};
const failed: EvalRunStatus = {
  verdict: "Fail",
  passed: false,
  gates: [{ ...gate, outcome: "Regressed", passed: false }],
};
const errored: EvalRunStatus = {
  verdict: "Error",
  passed: false,
  gates: [],
  conditions: [
    {
      type: "Passing",
      status: "Unknown",
      reason: "ModelRateLimited",
      message: "HTTP 429",
      lastTransitionTime: "",
    },
  ],
};
const inconclusive = (allowed: boolean): EvalRunStatus => ({
  verdict: "Inconclusive",
  passed: allowed,
  gates: [{ ...gate, head: 0.8, outcome: "Inconclusive", passed: allowed }],
});
const running: EvalRunStatus = { progress: "3/240" };
const stalled: EvalRunStatus = {
  conditions: [
    { type: "Stalled", status: "True", reason: "BlobMissing", message: "gone", lastTransitionTime: "" },
  ],
};

const skipped = (reason: NotEvaluatedReason, gating = true): NotEvaluated => ({
  suite: "tone",
  gating,
  reason,
  message: "because",
});

const verdict = (observed: Partial<ObservedPullRequest>) =>
  verdictOf({
    assessment: assessment("changed"),
    runs: [],
    notEvaluated: [],
    onNotEvaluated: "Pass",
    data: [],
    ...observed,
  });

const state = (observed: Partial<ObservedPullRequest>) => {
  const { state: status, reason, summary } = verdict(observed);
  return [status, reason, summary];
};

describe("before any suite", () => {
  test("a conflict fails, and says where", () => {
    const conflicting = assessment(undefined, {
      conflicts: ["a\u202E.yaml", "b.yaml"],
      head: undefined,
      impact: undefined,
    });
    expect(state({ assessment: conflicting })).toEqual([
      "failure",
      "Conflict",
      "conflicts with the base branch in a.yaml and 1 more",
    ]);
  });

  test("errors that the base has not fail, whatever the runs say", () => {
    const faults = [fault("a.yaml", "wrong"), fault("b.yaml", "worse")];
    const broken = assessment("changed", { head: snapshot(faults) });
    expect(state({ assessment: broken, runs: [run("triage", passed)] })).toEqual([
      "failure",
      "InvalidManifests",
      "2 new errors in the manifests",
    ]);
    expect(verdict({ assessment: broken }).newErrors).toEqual(faults);
  });

  test("errors that the base has already are not held against the head, though their lines move", () => {
    const same = assessment("changed", {
      base: snapshot([fault("a.yaml", "wrong", 3)]),
      head: snapshot([fault("a.yaml", "wrong", 9)]),
    });
    expect(verdict({ assessment: same })).toMatchObject({ state: "success", newErrors: [] });
  });

  test("a change that touches nothing passes at once and needs no comment", () => {
    expect(verdict({ assessment: assessment(undefined) })).toMatchObject({
      state: "success",
      reason: "NothingChanges",
      report: false,
    });
  });

  test("settings alone pass, and the comment says what merging does", () => {
    expect(verdict({ assessment: assessment("settings") })).toMatchObject({
      state: "success",
      reason: "SettingsOnly",
      report: true,
    });
  });

  test("settings that put another prompt into a ConfigMap are no mere settings", () => {
    const observed = { assessment: assessment("settings"), notEvaluated: [skipped("Republished")] };
    expect(state({ ...observed, onNotEvaluated: "Fail" })).toEqual([
      "failure",
      "NotEvaluated",
      "tone was not evaluated (Republished)",
    ]);
  });

  test("a change that no suite reaches passes and says so", () => {
    expect(state({})).toEqual(["success", "NotCovered", "no suite reaches what changes"]);
  });
});

describe("of gating suites", () => {
  test.each([
    [
      "one passes",
      [run("triage", passed)],
      "success",
      "Passed",
      "triage: pass-rate improved, 84.0 % → 90.0 %",
    ],
    [
      "one fails",
      [run("triage", failed)],
      "failure",
      "Failed",
      "triage: pass-rate regressed, 84.0 % → 61.0 %",
    ],
    ["one has no status yet", [run("triage", undefined)], "pending", "Running", "evaluating triage"],
    ["one runs", [run("triage", running)], "pending", "Running", "evaluating triage"],
    [
      "one is an error",
      [run("triage", errored)],
      "error",
      "Error",
      "triage: could not be evaluated (ModelRateLimited)",
    ],
    // It would be pending for ever.
    [
      "one is stuck",
      [run("triage", stalled)],
      "error",
      "Error",
      "triage: could not be evaluated (BlobMissing)",
    ],
    [
      "one cannot tell and may",
      [run("triage", inconclusive(true))],
      "success",
      "Inconclusive",
      "triage: pass-rate is inconclusive, 84.0 % → 80.0 %",
    ],
    [
      "one cannot tell and may not",
      [run("triage", inconclusive(false))],
      "failure",
      "Failed",
      "triage: pass-rate is inconclusive, 84.0 % → 80.0 %",
    ],
    [
      "one fails while others run, err and pass",
      [run("a", passed), run("b", running), run("c", errored), run("d", failed)],
      "failure",
      "Failed",
      "d: pass-rate regressed, 84.0 % → 61.0 %",
    ],
    [
      "one runs while others err",
      [run("a", errored), run("b", running)],
      "pending",
      "Running",
      "evaluating b",
    ],
    [
      "one errs while others pass",
      [run("a", passed), run("b", errored)],
      "error",
      "Error",
      "b: could not be evaluated (ModelRateLimited)",
    ],
    [
      "many pass",
      [run("a", passed), run("b", passed), run("c", passed)],
      "success",
      "Passed",
      "a: pass-rate improved, 84.0 % → 90.0 % (and 2 more suites)",
    ],
    [
      "many run",
      ["a", "b", "c", "d", "e"].map((name) => run(name, running)),
      "pending",
      "Running",
      "evaluating a, b, c and 2 more",
    ],
  ])("%s", (_, runs, status, reason, summary) => {
    expect(state({ runs })).toEqual([status, reason, summary]);
  });

  test("an older status without passed is judged by its gates", () => {
    const { passed: _, ...older } = inconclusive(false);
    expect(state({ runs: [run("triage", older)] })[0]).toBe("failure");
    const { passed: __, ...allowed } = inconclusive(true);
    expect(state({ runs: [run("triage", allowed)] })[0]).toBe("success");
  });
});

describe("advisory suites", () => {
  test.each([
    ["fails", failed],
    ["errs", errored],
    ["runs", running],
    ["cannot tell", inconclusive(false)],
  ])("do not decide: one %s", (_, status) => {
    expect(state({ runs: [run("triage", passed), run("tone", status, false)] })[0]).toBe("success");
    expect(state({ runs: [run("tone", status, false)] })).toEqual([
      "success",
      "NotCovered",
      "only advisory suites reach what changes",
    ]);
  });

  test("that are not evaluated do not decide, even where that fails", () => {
    const observed = { runs: [run("triage", passed)], notEvaluated: [skipped("HostNotAllowed", false)] };
    expect(state({ ...observed, onNotEvaluated: "Fail" })[0]).toBe("success");
  });
});

describe("what was not evaluated", () => {
  const reasons: NotEvaluatedReason[] = [
    "Invalid",
    "Missing",
    "Removed",
    "Unresolved",
    "HostNotAllowed",
    "Suspended",
  ];

  test.each(reasons)("%s passes or fails as policy says, and is named", (reason) => {
    const notEvaluated = [skipped(reason)];
    const summary = `tone was not evaluated (${reason})`;
    expect(state({ notEvaluated })).toEqual(["success", "NotEvaluated", summary]);
    expect(state({ notEvaluated, onNotEvaluated: "Fail" })).toEqual(["failure", "NotEvaluated", summary]);
  });

  test("beside a suite that passes is named, and fails where policy says so", () => {
    const observed = { runs: [run("triage", passed)], notEvaluated: [skipped("Unresolved")] };
    expect(state(observed)).toEqual([
      "success",
      "Passed",
      "triage: pass-rate improved, 84.0 % → 90.0 %; not evaluated: tone",
    ]);
    expect(state({ ...observed, onNotEvaluated: "Fail" })[0]).toBe("failure");
  });

  test("Removed with its place in the suite leaves nothing to evaluate, so it never fails", () => {
    const notEvaluated = [{ ...skipped("Removed"), settled: true }];
    expect(state({ notEvaluated, onNotEvaluated: "Fail" })).toEqual([
      "success",
      "NotEvaluated",
      "tone was not evaluated (Removed)",
    ]);
  });

  test.each(["Pass", "Fail"] as const)(
    "Fork waits for a person and says so, with onNotEvaluated %s",
    (onNotEvaluated) => {
      expect(state({ notEvaluated: [skipped("Fork")], onNotEvaluated })).toEqual([
        "pending",
        "AwaitingApproval",
        "a fork: someone with write access must allow it, see the comment",
      ]);
    },
  );

  test("Fork of an advisory suite waits for nobody", () => {
    expect(state({ notEvaluated: [skipped("Fork", false)] })[0]).toBe("success");
  });
});

test("whatever happens, the status has words, and is pending only with a reason to wait", () => {
  const statuses = [
    undefined,
    passed,
    failed,
    errored,
    running,
    stalled,
    inconclusive(true),
    inconclusive(false),
  ];
  const reasons: NotEvaluatedReason[] = [
    "Fork",
    "Invalid",
    "Removed",
    "Unresolved",
    "HostNotAllowed",
    "Suspended",
  ];
  for (const first of statuses)
    for (const second of statuses)
      for (const gating of [true, false])
        for (const reason of reasons)
          for (const onNotEvaluated of ["Pass", "Fail"] as const) {
            const {
              state: status,
              reason: why,
              summary,
            } = verdict({
              runs: [run("a", first, gating), run("b", second)],
              notEvaluated: [skipped(reason, gating)],
              onNotEvaluated,
            });
            expect(summary).toMatch(/^\S.{3,248}\S$/);
            expect(status === "pending").toBe(why === "Running" || why === "AwaitingApproval");
          }
});

test("the status is the base branch's own", () => {
  expect(statusContext({ spec: { branch: "release/2" } })).toBe("slipway/evals (release/2)");
  expect(statusContext({ spec: { branch: "main", path: "" } })).toBe("slipway/evals (main)");
});

test("the status is the folder's own, where Repositories share a branch", () => {
  const { spec } = repositoryWith();
  expect(statusContext({ spec: { ...spec, path: "teams/support" } })).toBe(
    "slipway/evals (main: teams/support)",
  );
});

describe("training data", () => {
  const compared = (diff: object): DataState => ({
    dataset: "tickets",
    state: "Compared",
    diff: { newPii: [], ...diff } as never,
  });
  const good = { summary: { rows: 8 } };
  const gated = { summary: { rows: 2, fault: { gate: "minRows", message: "2 rows are left" } } };
  const broken = { failure: { code: "BadRows", message: "a.jsonl:3: no JSON" } };
  const rows = { added: 3, removed: 1, changed: 2, same: 4, near: true };

  test("that cannot be prepared, or misses a gate, fails; what the base has already does not", () => {
    expect(verdict({ data: [compared({ base: good, head: broken })] })).toMatchObject({
      state: "failure",
      reason: "DataFault",
      summary: "Dataset tickets: BadRows, a.jsonl:3: no JSON",
    });
    expect(verdict({ data: [compared({ head: gated })] })).toMatchObject({
      reason: "DataFault",
      summary: "Dataset tickets: GateFailed minRows, 2 rows are left",
    });
    expect(verdict({ data: [compared({ base: broken, head: broken })] })).toMatchObject({
      state: "success",
      summary: "Dataset tickets: cannot be prepared, as before",
    });
  });

  test("is waited for, but for a suite that has failed nothing is", () => {
    const data: DataState[] = [{ dataset: "tickets", state: "Running" }];
    expect(verdict({ data })).toMatchObject({ state: "pending", summary: "comparing Dataset tickets" });
    expect(verdict({ data, runs: [run("triage", failed)] })).toMatchObject({ reason: "Failed" });
    expect(verdict({ data, runs: [run("triage", passed)] })).toMatchObject({ state: "pending" });
  });

  test("is summed up where no suite says more", () => {
    const data = [compared({ base: good, head: good, rows })];
    expect(verdict({ data })).toMatchObject({
      state: "success",
      reason: "DataCompared",
      summary: "Dataset tickets: 3 rows added, 1 removed, 2 changed",
    });
    expect(
      verdict({ data: [compared({ base: good, head: good, rows: { ...rows, added: 1 } })] }),
    ).toMatchObject({
      summary: "Dataset tickets: 1 row added, 1 removed, 2 changed",
    });
    expect(verdict({ data, runs: [run("triage", passed)] })).toMatchObject({ reason: "Passed" });
  });

  test("that was not compared fails nothing", () => {
    const data: DataState[] = [{ dataset: "d", state: "NotCompared", reason: "Outside", message: "" }];
    expect(verdict({ data })).toMatchObject({ state: "success", reason: "NotCovered" });
  });
});
