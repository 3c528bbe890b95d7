import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { childReadiness } from "./children.ts";
import type { Listed } from "./listed.ts";
import { ageText, ownershipOf, ownershipTree } from "./ownership.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");

function object(kind: string, name: string, owner?: string, more: Partial<Listed> = {}): Listed {
  return {
    apiVersion: "v1",
    kind,
    metadata: {
      name,
      uid: `uid-${name}`,
      creationTimestamp: "2026-01-01T23:00:00Z",
      ...(owner === undefined ? {} : { ownerReferences: [{ uid: `uid-${owner}` }] }),
    },
    ...more,
  };
}
const conditions = (...list: [string, string, string][]) =>
  list.map(([type, status, reason]) => ({ type, status, reason, message: `${reason}!` }));
const ready = (reason: string, more: object = {}) => ({
  status: { shortRevision: "0123456789ab", conditions: conditions(["Ready", "True", reason]), ...more },
});
const terminated = (reason: string) => ({ containerStatuses: [{ state: { terminated: { reason } } }] });

const OBJECTS = [
  object("Pod", "train-x", "train", {
    status: { phase: "Running", conditions: conditions(["Ready", "True", ""]) },
  }),
  object("Job", "train", "lora", { status: { active: 1 } }),
  object("Dataset", "lora", undefined, ready("Prepared")),
  object("ConfigMap", "triage-prompt", "triage"),
  object("PromptTemplate", "triage", undefined, ready("Compiled")),
  object("ModelDeployment", "small", undefined, {
    status: { conditions: conditions(["Ready", "False", "EndpointUnreachable"]) },
  }),
  object("Deployment", "small-1", "small", { spec: { replicas: 2 }, status: { readyReplicas: 1 } }),
  object("ReplicaSet", "small-1-a", "small-1", { spec: { replicas: 2 }, status: { readyReplicas: 1 } }),
  object("Pod", "small-1-a-x", "small-1-a", {
    status: {
      phase: "Pending",
      containerStatuses: [
        { state: { waiting: { reason: "ImagePullBackOff", message: "no\u001b[2J image" } } },
      ],
    },
  }),
  object("Pod", "somebody-elses", "a-stranger", { status: { phase: "Running" } }),
];

test("each object of Slipway's with what it owns, aligned", async () => {
  const shown = ownershipTree(ownershipOf(OBJECTS, NOW), pc.createColors(false));
  await expect(shown).toMatchFileSnapshot("testdata/tree.txt");
  const coloured = ownershipTree(ownershipOf(OBJECTS, NOW), pc.createColors(true));
  expect(coloured).toContain("\u001b[33m1/2\u001b[39m");
  expect(coloured).toContain("\u001b[31mFalse\u001b[39m");
  expect(stripVTControlCharacters(coloured)).toBe(shown);
});

describe("owners", () => {
  test("nothing of Slipway's is hidden by an owner that is not listed, or by a circle of owners", () => {
    const roots = ownershipOf(
      [
        object("EvalRun", "orphan", "gone"),
        object("EvalSuite", "a", "b"),
        object("EvalSuite", "b", "a"),
        object("EvalSuite", "itself", "itself"),
      ],
      NOW,
    );
    expect(roots.map(({ name, children }) => [name, children.map((child) => child.name)])).toEqual([
      ["orphan", []],
      ["a", ["b"]],
      ["itself", []],
    ]);
  });

  test("a child of two owners is shown once", () => {
    const shared = object("ConfigMap", "shared", "a");
    const owners = {
      ...shared,
      metadata: { ...shared.metadata, ownerReferences: [{ uid: "uid-a" }, { uid: "uid-b" }] },
    };
    const roots = ownershipOf([object("EvalSuite", "a"), object("EvalSuite", "b"), owners], NOW);
    expect(roots.map(({ children }) => children.length)).toEqual([1, 0]);
  });
});

test.each([
  ["Pod", { phase: "Succeeded" }, "True", "Succeeded"],
  ["Pod", { phase: "Failed", ...terminated("OOMKilled") }, "False", "OOMKilled"],
  ["Pod", { phase: "Failed", reason: "Evicted" }, "False", "Evicted"],
  ["Pod", { phase: "Running", ...terminated("Completed") }, "False", "Running"],
  [
    "Pod",
    { phase: "Pending", conditions: conditions(["PodScheduled", "False", "Unschedulable"]) },
    "False",
    "Unschedulable",
  ],
  [
    "Pod",
    { phase: "Pending", initContainerStatuses: [{ state: { waiting: { reason: "PodInitializing" } } }] },
    "False",
    "PodInitializing",
  ],
  ["Pod", undefined, "False", "Pending"],
  ["Pod", { containerStatuses: [null, { state: null }, 7] }, "False", "Pending"],
  [
    "Job",
    { conditions: conditions(["Failed", "True", "BackoffLimitExceeded"]) },
    "False",
    "BackoffLimitExceeded",
  ],
  ["Job", { conditions: conditions(["Complete", "True", "CompletionsReached"]) }, "True", "Complete"],
  ["Job", { conditions: conditions(["Suspended", "True", "JobSuspended"]) }, "0/1", "Suspended"],
  ["Job", { active: 1 }, "0/1", "Running"],
  ["Job", undefined, "0/1", "Pending"],
  ["Deployment", { readyReplicas: 3 }, "3/1", ""],
  [
    "Deployment",
    { conditions: conditions(["Progressing", "False", "ProgressDeadlineExceeded"]) },
    "0/1",
    "ProgressDeadlineExceeded",
  ],
  [
    "ReplicaSet",
    { conditions: conditions(["ReplicaFailure", "True", "FailedCreate"]) },
    "0/1",
    "FailedCreate",
  ],
  ["ConfigMap", undefined, "", ""],
])("%s %j is %s %s", (kind, status, expected, reason) => {
  expect(childReadiness(object(kind, "x", undefined, { status }))).toMatchObject({ ready: expected, reason });
});

test("what is being deleted is not ready", () => {
  const going = object("Pod", "x", undefined, { status: { phase: "Running" } });
  expect(
    childReadiness({ ...going, metadata: { ...going.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } }),
  ).toMatchObject({ ready: "False", reason: "Terminating" });
});

test.each([
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [10_799, "179m"],
  [10_800, "3h"],
  [172_799, "47h"],
  [172_800, "2d"],
])("%d seconds are %s", (seconds, text) => {
  expect(ageText(seconds)).toBe(text);
});
