import { expect, test } from "vitest";
import { type JsonSchema, rawSchema } from "./generate/json-schema.ts";
import { modelDeploymentSpec } from "./model-deployment.ts";

test("a manifest that leaves the replicas to an autoscaler says nothing of them; the API server has a default", () => {
  const inCluster = { runtime: "VLLM", model: { source: "hf://org/name@main" } };
  expect(modelDeploymentSpec.parse({ type: "InCluster", inCluster }).inCluster).not.toHaveProperty(
    "replicas",
  );
  const { properties } = rawSchema(modelDeploymentSpec, "spec") as { properties: Record<string, JsonSchema> };
  expect(properties.inCluster).toHaveProperty("properties.replicas.default", 1);
});
