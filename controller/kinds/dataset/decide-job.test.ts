import { describe, expect, test } from "vitest";
import { type Dataset, datasetSpec } from "../../../schemas/dataset.ts";
import { failed, later, NOW, object, type running, succeeded } from "../../../test/kind-objects.ts";
import { digestOf } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { WorkReport } from "../../store/store.ts";
import type { PrepareInput } from "./decide.ts";
import { bytesOf, decideJob, type JobDecision, type ObservedWork } from "./decide-job.ts";
import { jobName, preparationJob } from "./job.ts";

const DIGEST = `sha256:${"1".repeat(64)}`;
const MANIFEST = `sha256:${"2".repeat(64)}`;
const INPUT = "i".repeat(64);
const KEY = digestOf({ input: INPUT, attempt: 1 });

const dataset = (status?: Dataset["status"], spec: object = {}) =>
  object<Dataset>("Dataset", {
    spec: datasetSpec.parse({
      format: "chat",
      sources: [{ name: "a", url: "https://x.test/a.jsonl" }],
      ...spec,
    }),
    ...(status ? { status } : {}),
  });
const input = { name: "dataset", artifacts: {}, suites: {} } as unknown as PrepareInput;
const output = {
  read: 10,
  steps: [{ name: "dedup", dropped: 2, changed: 0, samples: ["not for the status"] }],
  splits: [{ name: "train", rows: 8 }],
  piiRows: 0,
  words: 80,
  artifact: { digest: DIGEST, rows: 8, bytes: 900 },
};
const report = (more: Partial<WorkReport>): WorkReport => ({ state: "Running", reportedAt: 0, ...more });
const pod = (status: object, name = "pod-1"): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "team" },
  status,
});
const job = (status: object = {}): KubeObject => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "j", namespace: "team" },
  status,
});
const FAILED = {
  conditions: [{ type: "Failed", status: "True", reason: "BackoffLimitExceeded" }],
  failed: 3,
};

interface Seen {
  readonly effects?: Readonly<Record<string, ReturnType<typeof running>>>;
  readonly report?: WorkReport;
  readonly job?: KubeObject;
  readonly pods?: readonly KubeObject[];
}
const ADMITTED = { stage: succeeded({ manifest: MANIFEST }), admit: succeeded({ secret: "s" }) };

function decided(seen: Seen = {}, of = dataset(), asked = false, now = NOW): JobDecision {
  const observed: ObservedWork = {
    url: "http://controller:8080",
    above: 0,
    effect: (name) => (seen.effects ?? ADMITTED)[name as "stage"],
    report: (key) => (key === KEY ? seen.report : undefined),
    child: () => ({ job: seen.job, pods: seen.pods ?? [] }),
  };
  return decideJob(of, input, INPUT, observed, asked, now);
}
const reasonOf = (decision: JobDecision) =>
  "conditions" in decision
    ? decision.conditions[0]?.reason
    : "failure" in decision
      ? decision.failure.reason
      : "done";
const messageOf = (decision: JobDecision) =>
  "conditions" in decision
    ? decision.conditions[0]?.message
    : "failure" in decision
      ? decision.failure.message
      : "";

describe("before there is a Job", () => {
  test("the input is laid out, then a token is made for it alone, then the Job", () => {
    const first = decided({ effects: {} });
    expect(first.effects.map(({ name }) => name)).toEqual(["stage"]);
    expect(first.children).toEqual([]);
    const second = decided({ effects: { stage: ADMITTED.stage } });
    expect(second.effects.map(({ name }) => name)).toEqual(["stage", "admit"]);
    expect(second.effects[1]?.input).toMatchObject({
      claims: { object: { kind: "Dataset", name: "dataset" }, input: KEY, read: [MANIFEST], write: true },
      name: jobName(dataset(), KEY),
    });
    const third = decided();
    expect(third.children).toEqual([
      preparationJob(dataset(), jobName(dataset(), KEY), MANIFEST, "http://controller:8080"),
    ]);
    expect(reasonOf(third)).toBe("Starting");
  });

  test("what fails in passing is tried again after a minute; what does not waits for a person", () => {
    const away = { stage: failed("StateUnwritable", true, 2) };
    expect(decided({ effects: away })).toMatchObject({ requeueAfterMs: 60_000, effects: [{ attempt: 2 }] });
    expect(decided({ effects: away }, dataset(), false, later(60_000)).effects).toMatchObject([
      { attempt: 3 },
    ]);
    const lasting = decided({ effects: { ...ADMITTED, admit: failed("Forbidden", false) } });
    expect(lasting).toMatchObject({
      failure: { reason: "Forbidden" },
      work: { failure: { reason: "Forbidden" } },
    });
  });
});

describe("while it runs", () => {
  const seen = { job: job(), pods: [pod({ phase: "Running" })] };

  test("it is left as it is, and its progress is shown", () => {
    const decision = decided({ ...seen, report: report({ progress: { phase: "Preparing", percent: 42 } }) });
    expect(decision.children).toEqual([]);
    expect(decision.keep).toMatchObject([{ name: jobName(dataset(), KEY) }]);
    expect(decision).toMatchObject({ progress: { phase: "Preparing", percent: 42 } });
    expect(messageOf(decision)).toBe("Preparing, 42 %, in pod pod-1");
    expect(reasonOf(decided(seen))).toBe("Starting");
  });

  test("what a pod calls progress is not believed when it is none", () => {
    for (const progress of [{ phase: "<script>", percent: 1 }, { phase: "Preparing", percent: 1e9 }, []])
      expect(decided({ ...seen, report: report({ progress: progress as never }) })).not.toHaveProperty(
        "progress",
      );
  });

  test.each([
    [
      "ImagePullFailed",
      { containerStatuses: [{ state: { waiting: { reason: "ErrImagePull", message: "no" } } }] },
    ],
    ["Evicted", { reason: "Evicted", message: "The node was low on memory" }],
    ["Unschedulable", { conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes" }] }],
    [
      "ContainerFailed",
      { containerStatuses: [{ state: { waiting: { reason: "CreateContainerConfigError" } } }] },
    ],
    [
      "OutOfMemory",
      { containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }] },
    ],
  ])("%s is told with the pod's name, and the Job goes on", (reason, status) => {
    const decision = decided({ job: job(), pods: [pod(status)] });
    expect(reasonOf(decision)).toBe(reason);
    expect(messageOf(decision)).toContain("pod-1");
    expect(decision.keep).toHaveLength(1);
  });
});

describe("when it has failed", () => {
  const bad = report({
    state: "Failed",
    error: { code: "BadRows", message: "2 bad rows: a.jsonl:3: no JSON" },
  });
  const over = { job: job(FAILED), pods: [pod({ phase: "Failed" })], report: bad };

  test("the pod's own words are the reason, the Job stays to be looked at, and nobody tries again", () => {
    const decision = decided(over);
    expect(reasonOf(decision)).toBe("BadRows");
    expect(messageOf(decision)).toBe("pod pod-1: 2 bad rows: a.jsonl:3: no JSON (after 3 failed pods)");
    expect(decision).toMatchObject({ first: true, children: [], keep: [{ name: jobName(dataset(), KEY) }] });
    const next = decided({}, dataset({ work: decision.work }));
    expect(next).toMatchObject({ failure: decision.work.failure, first: false, children: [], effects: [] });
  });

  test("the kernel knows better than the pod, and a pod may not invent reasons", () => {
    const killed = pod({
      containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }],
    });
    expect(reasonOf(decided({ ...over, pods: [killed] }))).toBe("OutOfMemory");
    const odd = report({ state: "Failed", error: { code: "bad code!", message: "x\u001b[2J" } });
    expect(decided({ ...over, report: odd })).toMatchObject({
      failure: { reason: "PrepareFailed", message: expect.not.stringContaining("\u001b") },
    });
  });

  test("a person who asks, or another input, starts anew under another name", () => {
    const work = { input: INPUT, attempt: 1, failure: { reason: "BadRows", message: "" } };
    const again = decided({}, dataset({ work }), true);
    expect(again).toMatchObject({ work: { input: INPUT, attempt: 2 }, children: [{}] });
    expect(again.work).not.toHaveProperty("failure");
    expect(again.children[0]?.metadata.name).not.toBe(jobName(dataset(), KEY));
    expect(decided({}, dataset({ work: { ...work, input: "other" } })).work).toEqual({
      input: INPUT,
      attempt: 1,
    });
  });
});

describe("when it is done", () => {
  const done = report({ state: "Succeeded", result: output as never });
  const verified = (outcome: ReturnType<typeof running>) => ({ ...ADMITTED, verify: outcome });

  test("what the pod stored is looked at first; then the counts are taken over, and the Job goes", () => {
    const first = decided({ report: done });
    expect(reasonOf(first)).toBe("Verifying");
    expect(first.effects).toMatchObject([
      { name: "verify", input: { digest: DIGEST, type: "dataset", known: false } },
    ]);
    const { samples: _, ...step } = output.steps[0]!;
    const last = decided({ report: done, effects: verified(succeeded({})) });
    expect(last).toMatchObject({ output: { ...output, steps: [step] }, keep: [] });
    expect(JSON.stringify(last)).not.toContain("not for the status");
  });

  test("somebody else's artifact, or a result that is none, is not published", () => {
    const stolen = decided({ report: done, effects: verified(failed("ArtifactInvalid", false)) });
    expect(reasonOf(stolen)).toBe("ArtifactInvalid");
    for (const result of [
      {},
      { ...output, artifact: { digest: "x", rows: 1, bytes: 1 } },
      { ...output, artifact: undefined },
    ])
      expect(reasonOf(decided({ report: report({ state: "Succeeded", result: result as never }) }))).toBe(
        "BadReport",
      );
  });

  test("a gate that does not hold comes through", () => {
    const { artifact: _, ...rest } = output;
    const fault = { gate: "minRows", message: "8 rows" };
    expect(
      decided({ report: report({ state: "Succeeded", result: { ...rest, fault } as never }) }),
    ).toMatchObject({
      output: { fault },
    });
  });
});

test("only what comes from outside or from other Datasets makes a Dataset large", () => {
  const fetched = [{ name: "a", resolved: "", files: [{ path: "a", digest: DIGEST, bytes: 700 }] }];
  const upstream = dataset({ artifact: { digest: DIGEST, rows: 1, bytes: 300, revision: "" } });
  expect(bytesOf({ ...input, fetched }, new Map([["up", upstream]]))).toBe(1000);
  expect(bytesOf(input, new Map())).toBe(0);
});

test("the pod has no rights and takes what spec.pod says", () => {
  const of = dataset(undefined, {
    pod: { image: "mine:1", resources: { limits: { memory: "1Gi" } }, nodeSelector: { a: "b" } },
  });
  const made = preparationJob(of, "n", MANIFEST, "http://c") as unknown as {
    spec: { template: { spec: { containers: Record<string, unknown>[] } & Record<string, unknown> } };
  };
  const { spec } = made.spec.template;
  expect(spec).toMatchObject({ automountServiceAccountToken: false, nodeSelector: { a: "b" } });
  expect(spec).toMatchObject({ securityContext: { runAsNonRoot: true } });
  expect(spec.containers[0]).toMatchObject({
    image: "mine:1",
    resources: { limits: { memory: "1Gi" } },
    args: ["work", "prepare"],
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
  });
  expect(JSON.stringify(spec)).not.toContain('"token":');
});
