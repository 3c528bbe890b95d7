import { expect, test } from "vitest";
import { jobState, latestPod, podTrouble } from "./pods.ts";

const pod = (status: object, name = "p") => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { nodeName: "n1" },
  status,
});
const waiting = (reason: string, message = "m") => ({
  phase: "Pending",
  containerStatuses: [{ state: { waiting: { reason, message } } }],
});
const terminated = (exitCode: number, message?: string) => ({
  phase: "Failed",
  containerStatuses: [{ state: { terminated: { exitCode, reason: "Error", message } } }],
});
const running = (readiness: string) => ({
  phase: "Running",
  conditions: [
    { type: "PodScheduled", status: "True" },
    { type: "Ready", status: readiness },
  ],
  containerStatuses: [{ ready: true, state: { running: { startedAt: "2030-01-01T00:00:00Z" } } }],
});

test.each([
  [running("True"), undefined, false],
  [running("False"), "NodeLost", false],
  [{ phase: "Pending" }, undefined, false],
  [waiting("ContainerCreating"), undefined, false],
  [waiting("ErrImagePull"), "ImagePullFailed", false],
  [waiting("ImagePullBackOff"), "ImagePullFailed", false],
  [waiting("InvalidImageName"), "ImagePullFailed", false],
  [waiting("CreateContainerConfigError", 'secret "hub" not found'), "ContainerFailed", false],
  [
    {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" }],
    },
    "Unschedulable",
    false,
  ],
  [{ phase: "Failed", reason: "Evicted", message: "low on memory" }, "Evicted", false],
  [terminated(0), undefined, false],
  [terminated(143), undefined, false],
  [terminated(1), "TrainerFailed", false],
  [terminated(3), "UnknownBaseModel", true],
  [terminated(6), "NonFiniteLoss", true],
  [terminated(7), "OutOfMemory", true],
  [terminated(8), "ControllerUnreachable", false],
  [terminated(4, '{"code":"BadDataset","message":"row 7"}'), "BadDataset", true],
  [terminated(134, "terminate called after throwing an instance of 'std::bad_alloc'"), "OutOfMemory", true],
  [terminated(134, "Fatal Python error: Aborted"), "TrainerFailed", false],
  [terminated(137, "a row says: out of memory"), "TrainerFailed", false],
  [terminated(1, '{"code":"Ready","message":"not one of ours"}'), "TrainerFailed", false],
  [
    {
      phase: "Failed",
      containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }],
    },
    "OutOfMemory",
    true,
  ],
])("pod %j: %s", (status, reason, final) => {
  const trouble = podTrouble(pod(status));
  expect([trouble?.reason, trouble?.final ?? false]).toEqual([reason, final]);
  if (trouble) expect(trouble.message).toContain(reason === "NodeLost" ? "n1" : "p");
});

test("the pod's own words are shown", () => {
  expect(podTrouble(pod(terminated(4, '{"code":"BadDataset","message":"row 7"}')))?.message).toBe(
    "pod p: row 7",
  );
  expect(podTrouble(pod(waiting("ErrImagePull", "no such host")))?.message).toContain("no such host");
});

test("the last pod is the youngest", () => {
  const at = (name: string, creationTimestamp: string) => ({
    ...pod({}),
    metadata: { name, creationTimestamp },
  });
  const pods = [
    at("a", "2030-01-01T00:00:01Z"),
    at("b", "2030-01-01T00:00:03Z"),
    at("c", "2030-01-01T00:00:02Z"),
  ];
  expect(latestPod(pods)?.metadata.name).toBe("b");
  expect(latestPod([])).toBeUndefined();
});

test("a Job is under way, waits for its queue, or has failed", () => {
  const job = (conditions: object[]) => ({ ...pod({ conditions, failed: 2 }), kind: "Job" });
  expect(jobState(undefined)).toEqual({ failures: 0 });
  expect(jobState(job([{ type: "Suspended", status: "True" }]))).toEqual({ failures: 2, suspended: true });
  expect(
    jobState(job([{ type: "Failed", status: "True", reason: "PodFailurePolicy", message: "x" }])).failed,
  ).toEqual({
    reason: "PodFailurePolicy",
    message: "x",
  });
});
