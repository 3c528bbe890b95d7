import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../kube/resources.ts";
import { podProgress, podTrouble } from "./pods.ts";

const pod = (status: object, metadata: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p-1", ...metadata },
  status,
});
const server = (state: object, lastState: object = {}) => ({
  containerStatuses: [{ name: "server", state, lastState }],
});
const init = (state: object, lastState: object = {}) => ({
  initContainerStatuses: [{ name: "fetch-model", state, lastState }],
});

describe("why pods do not serve", () => {
  test.each([
    [
      "no node",
      {
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            reason: "Unschedulable",
            message: "0/3 nodes: insufficient nvidia.com/gpu",
          },
        ],
      },
      "Unschedulable",
      "insufficient nvidia.com/gpu",
    ],
    [
      "no image",
      server({ waiting: { reason: "ImagePullBackOff", message: "not found" } }),
      "ImagePullFailed",
      "not found",
    ],
    [
      "no Secret",
      init({ waiting: { reason: "CreateContainerConfigError", message: 'secret "x" not found' } }),
      "PodConfigInvalid",
      "secret",
    ],
    [
      "no model",
      init({ terminated: { exitCode: 2, message: "ArtifactNotFound: the controller has no sha256:1" } }),
      "ModelFetchFailed",
      "ArtifactNotFound",
    ],
    [
      "no model, and waiting to try again",
      init(
        { waiting: { reason: "CrashLoopBackOff" } },
        { terminated: { exitCode: 2, message: "SourceNotFound: gone" } },
      ),
      "ModelFetchFailed",
      "SourceNotFound",
    ],
    [
      "killed for its memory",
      server(
        { waiting: { reason: "CrashLoopBackOff" } },
        { terminated: { exitCode: 137, reason: "OOMKilled" } },
      ),
      "OutOfMemory",
      "memory",
    ],
    [
      "crashed",
      server(
        { running: {} },
        { terminated: { exitCode: 3, message: "UnknownBaseModel: holds no config.json\n" } },
      ),
      "ServerCrashed",
      "exit code 3: UnknownBaseModel: holds no config.json",
    ],
  ])("%s", (_, status, reason, words) => {
    const found = podTrouble([pod({}), pod(status, { name: "p-2" })]);
    expect(found?.reason).toBe(reason);
    expect(found?.message).toContain("pod p-2: ");
    expect(found?.message).toContain(words);
  });

  test.each([
    ["all is well", server({ running: {} })],
    ["a fetch that is done", init({ terminated: { exitCode: 0 } })],
    ["nothing known yet", {}],
  ])("nothing, when %s", (_, status) => {
    expect(podTrouble([pod(status)])).toBeUndefined();
  });

  test("a pod that is being deleted does not count, and a long log is shown from its end", () => {
    const bad = server({ terminated: { exitCode: 1, message: `${"x".repeat(5_000)}the end` } });
    expect(podTrouble([pod(bad, { deletionTimestamp: "now" })])).toBeUndefined();
    const message = podTrouble([pod(bad)])?.message ?? "";
    expect(message.endsWith("the end")).toBe(true);
    expect(message.length).toBeLessThan(1_200);
  });
});

test("how far they are", () => {
  expect(podProgress([])).toContain("being made");
  expect(podProgress([pod(init({ running: {} }))])).toContain("fetched");
  expect(podProgress([pod(init({ terminated: { exitCode: 0 } }))])).toContain("loading");
});
