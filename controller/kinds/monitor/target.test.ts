import { expect, test } from "vitest";
import { type ModelDeployment, modelDeploymentSpec } from "../../../schemas/model-deployment.ts";
import { object } from "../../../test/kind-objects.ts";
import { endpointOfTarget } from "./target.ts";

const external = modelDeploymentSpec.parse({
  type: "External",
  external: { baseURL: "https://a.example.com/v1", model: "m", secretRef: { name: "key" } },
});
const inCluster = modelDeploymentSpec.parse({
  type: "InCluster",
  inCluster: { runtime: "VLLM", model: { source: "hf://org/m" }, timeout: "9s" },
});
const endpoint = { url: "http://m.team.svc/v1", model: "served" };

test.each([
  [
    "somebody else's, with its key",
    { spec: external },
    {
      baseURL: "https://a.example.com/v1",
      model: "m",
      timeout: "60s",
      secretRef: { name: "key", key: "apiKey" },
    },
  ],
  ["one in the cluster that serves nothing yet", { spec: inCluster }, undefined],
  [
    "one in the cluster, by its address",
    { spec: inCluster, status: { endpoint: { ...endpoint, address: "http://10.0.0.7/v1" } } },
    { baseURL: "http://10.0.0.7/v1", model: "served", timeout: "9s" },
  ],
  [
    "one in the cluster whose address is not known",
    { spec: inCluster, status: { endpoint } },
    { baseURL: "http://m.team.svc/v1", model: "served", timeout: "9s" },
  ],
])("%s", (_, shape, expected) => {
  expect(endpointOfTarget(object<ModelDeployment>("ModelDeployment", shape))).toEqual(expected);
});

test("none", () => expect(endpointOfTarget(undefined)).toBeUndefined());
