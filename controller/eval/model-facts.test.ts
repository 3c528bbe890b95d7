import { expect, test } from "vitest";
import { modelDeploymentSpec } from "../../schemas/model-deployment.ts";
import { endpointFacts, factsOf } from "./model-facts.ts";

const external = modelDeploymentSpec.parse({
  type: "External",
  external: {
    baseURL: "https://api.example.com/v1",
    model: "m",
    maxConcurrency: 3,
    secretRef: { name: "key" },
  },
});
const pricing = { inputPerMillionTokens: "1", outputPerMillionTokens: "2" };
const inCluster = modelDeploymentSpec.parse({
  type: "InCluster",
  inCluster: { runtime: "Custom", image: "x", modelName: "alias", timeout: "5s", maxConcurrency: 2, pricing },
});
const revision = "a".repeat(64);

test("a hosted model is asked where its spec says", () => {
  expect(endpointFacts({ name: "hosted", revision, spec: external })).toMatchObject({
    baseURL: "https://api.example.com/v1",
    model: "m",
    timeout: "60s",
    maxConcurrency: 3,
    secretRef: { name: "key" },
  });
});

test("one in the cluster is asked at its revision's own address, without a key", () => {
  const endpoint = { baseURL: "http://10.0.0.1/v1", model: "served" };
  expect(endpointFacts({ name: "triage", revision, spec: inCluster, endpoint })).toEqual({
    baseURL: "http://10.0.0.1/v1",
    model: "served",
    timeout: "5s",
    maxConcurrency: 2,
    pricing,
    secretRef: undefined,
  });
});

test("a section that type does not name counts for nothing, its price neither", () => {
  const dear = { inputPerMillionTokens: "9", outputPerMillionTokens: "9" };
  const spec = { ...inCluster, external: { ...external.external!, pricing: dear } };
  expect(factsOf({ name: "triage", spec })?.pricing).toEqual(pricing);
});

test("without an address it cannot be asked from here, and that is said", () => {
  const model = { name: "triage", revision, spec: inCluster };
  expect(factsOf(model)?.model).toBe("alias");
  expect(() => endpointFacts(model)).toThrow(expect.objectContaining({ code: "NotServedHere" }));
  expect(() => endpointFacts({ ...model, spec: { ...inCluster, type: "External" } })).toThrow(
    expect.objectContaining({ code: "InvalidSpec" }),
  );
});
