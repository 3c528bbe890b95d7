import { expect, test } from "vitest";
import { type JsonSchema, rawSchema } from "./generate/json-schema.ts";
import { modelDeploymentSpec } from "./model-deployment.ts";

test.each([
  ["its model", { model: { fineTuneJobRef: { name: "tuned" } } }],
  ["its model, with a file", { model: { fineTuneJobRef: { name: "tuned" }, file: "model.gguf" } }],
  ["its adapter", { adapters: [{ name: "tone", fineTuneJobRef: { name: "tuned" } }] }],
])("LlamaCpp takes no FineTuneJob for %s, which makes no GGUF file", (_, more) => {
  const model = { source: "hf://org/name@main", file: "model.gguf" };
  const issues = (runtime: string) =>
    modelDeploymentSpec.safeParse({ type: "InCluster", inCluster: { runtime, model, ...more } }).error
      ?.issues;
  expect(issues("Transformers")).toBeUndefined();
  expect(issues("LlamaCpp")).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/^runtime: LlamaCpp serves GGUF files/) }),
  ]);
});

test("a manifest that leaves the replicas to an autoscaler says nothing of them; the API server has a default", () => {
  const inCluster = { runtime: "VLLM", model: { source: "hf://org/name@main" } };
  expect(modelDeploymentSpec.parse({ type: "InCluster", inCluster }).inCluster).not.toHaveProperty(
    "replicas",
  );
  const { properties } = rawSchema(modelDeploymentSpec, "spec") as { properties: Record<string, JsonSchema> };
  expect(properties.inCluster).toHaveProperty("properties.replicas.default", 1);
});
