import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { KubeObject } from "../kube/resources.ts";
import { condition, ready } from "./conditions.ts";
import {
  completeStatus,
  mergePatch,
  type Status,
  sameStatus,
  stalledStatus,
  suspendedStatus,
} from "./status.ts";

const object = (status?: Status, annotations?: Record<string, string>): KubeObject => ({
  apiVersion: "slipway.dev/v1alpha1",
  kind: "Toy",
  metadata: { name: "a", generation: 3, ...(annotations ? { annotations } : {}) },
  ...(status ? { status } : {}),
});
const now = new Date("2026-01-02T03:04:05.678Z");
const old = "2025-01-01T00:00:00Z";

describe("completeStatus", () => {
  test("adds the generation to the status and its conditions, and whole seconds", () => {
    expect(
      completeStatus(object(), { score: 1, gone: undefined, conditions: ready("Done", "m") }, now),
    ).toEqual({
      score: 1,
      observedGeneration: 3,
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "Done",
          message: "m",
          observedGeneration: 3,
          lastTransitionTime: "2026-01-02T03:04:05Z",
        },
      ],
    });
  });

  test.each([
    ["True", old],
    ["False", "2026-01-02T03:04:05Z"],
  ] as const)("keeps the time of a condition only while its status stays (was %s)", (status, expected) => {
    const before = { ...condition("Ready", status, "Other", "other"), lastTransitionTime: old };
    const after = completeStatus(object({ conditions: [before] }), { conditions: ready("Done", "m") }, now);
    expect(after.conditions?.[0]?.lastTransitionTime).toBe(expected);
  });

  test("echoes the request, and keeps the echo when the annotation goes", () => {
    const asked = { "slipway.dev/requestedAt": "t2" };
    expect(
      completeStatus(object({ lastHandledRequestedAt: "t1" }, asked), {}, now).lastHandledRequestedAt,
    ).toBe("t2");
    expect(completeStatus(object({ lastHandledRequestedAt: "t1" }), {}, now).lastHandledRequestedAt).toBe(
      "t1",
    );
  });
});

test("suspended and stalled statuses keep what was known, and replace readiness alone", () => {
  const before: Status = {
    revision: "r",
    conditions: [
      ...ready("Done", "m"),
      condition("Reconciling", "True", "X", ""),
      condition("Passing", "True", "Passed", ""),
    ],
  };
  const types = (status: object) =>
    (status as Status).conditions?.map(({ type, status }) => `${type}=${status}`);
  expect(suspendedStatus(object(before))).toMatchObject({ revision: "r" });
  expect(types(suspendedStatus(object(before)))).toEqual(["Ready=Unknown", "Passing=True"]);
  expect(types(stalledStatus(object(before), "Forbidden", "m"))).toEqual([
    "Ready=False",
    "Stalled=True",
    "Passing=True",
  ]);
});

test("sameStatus ignores times of transitions and the order of members, nothing else", () => {
  const a: Status = { x: 1, y: { z: [1] }, conditions: ready("Done", "m") };
  const later = ready("Done", "m").map((c) => ({ ...c, lastTransitionTime: old }));
  expect(sameStatus(a, { conditions: later, y: { z: [1] }, x: 1 })).toBe(true);
  expect(sameStatus(a, { ...a, conditions: ready("Done", "other") })).toBe(false);
  expect(sameStatus(a, { ...a, x: 2 })).toBe(false);
});

describe("mergePatch", () => {
  /** RFC 7386, section 2. */
  function apply(target: unknown, patch: unknown): unknown {
    if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
    const base = target !== null && typeof target === "object" && !Array.isArray(target) ? target : {};
    const result: Record<string, unknown> = { ...base };
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete result[key];
      else result[key] = apply(result[key], value);
    }
    return result;
  }

  test.each([
    [{ a: 1, b: 2 }, { a: 1 }, { b: null }],
    [{ a: { b: 1, c: 2 } }, { a: { b: 1 } }, { a: { c: null } }],
    [{ a: [1, 2] }, { a: [1] }, { a: [1] }],
    [{ a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: 1 }, { a: 1 }, {}],
  ])("%j to %j", (from, to, patch) => {
    expect(mergePatch(from, to)).toEqual(patch);
  });

  test("applied as the RFC says gives the target", () => {
    // A status holds no null: the API server drops them.
    const { tree } = fc.letrec<{ tree: unknown; leaf: unknown }>((tie) => ({
      leaf: fc.oneof(fc.integer(), fc.string({ maxLength: 3 }), fc.array(fc.integer(), { maxLength: 3 })),
      tree: fc.dictionary(
        fc.constantFrom("a", "b", "c"),
        fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("tree")),
      ),
    }));
    fc.assert(
      fc.property(tree, tree, (from, to) => {
        const patch = mergePatch(from as Record<string, unknown>, to as Record<string, unknown>);
        expect(apply(from, patch)).toEqual({ ...(to as object) });
      }),
    );
  });
});
