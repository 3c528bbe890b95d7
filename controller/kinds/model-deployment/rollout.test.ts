import { describe, expect, test } from "vitest";
import { planRollout, type RevisionState, type RolloutInput, type RolloutPlan } from "./rollout.ts";

const up = (replicas: number, more: Partial<RevisionState> = {}): RevisionState => ({
  replicas,
  ready: replicas,
  settled: true,
  exhausted: false,
  ...more,
});
const passed = { state: "Passed" } as const;
const pending = { state: "Pending", reason: "Evaluating", message: "3/10" } as const;
const failed = { state: "Failed", message: "the pass rate is 0.1" } as const;

function plan(of: Partial<RolloutInput>, revisions: Record<string, RevisionState>): RolloutPlan {
  return planRollout({
    wanted: "new",
    active: "old",
    strategy: "BlueGreen",
    desired: 2,
    answers: true,
    hasGates: true,
    gates: passed,
    stopped: undefined,
    trouble: undefined,
    switchedAt: undefined,
    drainMs: 60_000,
    now: 1_000_000,
    ...of,
    revisions: new Map(Object.entries(revisions)),
  });
}
const short = ({ serve, replicas, phase }: RolloutPlan) => [
  phase,
  serve,
  Object.fromEntries([...replicas].sort()),
];

describe("which revision serves, and with how many pods", () => {
  test.each<[string, Partial<RolloutInput>, Record<string, RevisionState>, unknown[]]>([
    ["the first one comes up", { active: undefined }, {}, ["Starting", undefined, { new: 2 }]],
    ["the new comes up beside the old", {}, { old: up(2) }, ["Starting", "old", { new: 2, old: 2 }]],
    [
      "not all of its pods are ready",
      {},
      { old: up(2), new: up(2, { ready: 1 }) },
      ["Starting", "old", { new: 2, old: 2 }],
    ],
    [
      "its Deployment has not been looked at",
      {},
      { old: up(2), new: up(2, { settled: false }) },
      ["Starting", "old", { new: 2, old: 2 }],
    ],
    [
      "its pods are ready and its Service does not answer",
      { answers: false },
      { old: up(2), new: up(2) },
      ["Starting", "old", { new: 2, old: 2 }],
    ],
    [
      "it answers and is not judged yet",
      { gates: pending },
      { old: up(2), new: up(2) },
      ["Evaluating", "old", { new: 2, old: 2 }],
    ],
    [
      "it passed: the Service moves and the old keeps its pods",
      {},
      { old: up(2), new: up(2) },
      ["Serving", "new", { new: 2, old: 2 }],
    ],
    [
      "it failed: no pods, the old serves",
      { gates: failed },
      { old: up(2), new: up(2) },
      ["Blocked", "old", { new: 0, old: 2 }],
    ],
    [
      "it failed and nothing serves",
      { gates: failed, active: undefined },
      { new: up(2) },
      ["Blocked", undefined, { new: 0 }],
    ],
    [
      "it did not come up in time",
      { answers: false },
      { old: up(2), new: up(2, { ready: 0, exhausted: true }) },
      ["Blocked", "old", { new: 0, old: 2 }],
    ],
    [
      "it was stopped before",
      { stopped: { reason: "OutOfMemory", message: "m" } },
      { old: up(2), new: up(0) },
      ["Blocked", "old", { new: 0, old: 2 }],
    ],
    [
      "scaled while it comes up",
      { desired: 3 },
      { old: up(2), new: up(2) },
      ["Starting", "old", { new: 3, old: 3 }],
    ],
    [
      "scaled to zero it still has to be judged",
      { desired: 0, gates: pending },
      { old: up(0), new: up(1) },
      ["Evaluating", "old", { new: 1, old: 0 }],
    ],
    [
      "scaled to zero without gates it takes over at once",
      { desired: 0, hasGates: false, answers: false },
      { old: up(0), new: up(0) },
      ["Serving", "new", { new: 0, old: 0 }],
    ],
    [
      "what was on its way before goes",
      {},
      { old: up(2), other: up(2) },
      ["Starting", "old", { new: 2, old: 2 }],
    ],
    [
      "Recreate: the old has no pods meanwhile",
      { strategy: "Recreate" },
      { old: up(2) },
      ["Starting", "old", { new: 2, old: 0 }],
    ],
    [
      "Recreate: a bad one gives way to the old again",
      { strategy: "Recreate", gates: failed },
      { old: up(0), new: up(2) },
      ["Blocked", "old", { new: 0, old: 2 }],
    ],
  ])("%s", (_, of, revisions, expected) => {
    expect(short(plan(of, revisions))).toEqual(expected);
  });
});

test("what served before is kept until its requests had their time, then goes", () => {
  const at = (now: number) =>
    plan({ wanted: "new", active: "new", switchedAt: 1_000_000, now }, { old: up(2), new: up(2) });
  expect(short(at(1_000_001))).toEqual(["Serving", "new", { new: 2, old: 2 }]);
  const { waitMs = 0 } = at(1_000_001);
  expect(waitMs).toBeGreaterThan(60_000);
  expect(short(at(1_000_001 + waitMs))).toEqual(["Serving", "new", { new: 2 }]);
  expect(at(1_000_001 + waitMs).waitMs).toBeUndefined();
});

test("a stopped revision says why: the gate's verdict, or what its pods have", () => {
  expect(plan({ gates: failed }, { old: up(1), new: up(2) }).stopped).toEqual({
    reason: "GateFailed",
    message: failed.message,
  });
  const trouble = { reason: "ImagePullFailed", message: "pod a: no such image" };
  const state = { new: up(2, { ready: 0, exhausted: true }) };
  expect(plan({ trouble }, state).stopped).toEqual(trouble);
  expect(plan({}, state).stopped?.reason).toBe("StartupTimeout");
});
