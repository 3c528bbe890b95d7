import type { z } from "zod";
import { datasetSpec } from "../schemas/dataset.ts";
import { evalSuiteSpec } from "../schemas/eval-suite.ts";
import { fineTuneJobSpec } from "../schemas/fine-tune-job.ts";
import { API_VERSION, type CustomResource } from "../schemas/kind.ts";
import { modelDeploymentSpec } from "../schemas/model-deployment.ts";
import { monitorSpec } from "../schemas/monitor.ts";
import { promptTemplateSpec } from "../schemas/prompt-template.ts";

/** Objects for tests, parsed as the loader parses them. */

const SPECS = {
  Dataset: datasetSpec,
  FineTuneJob: fineTuneJobSpec,
  PromptTemplate: promptTemplateSpec,
  ModelDeployment: modelDeploymentSpec,
  EvalSuite: evalSuiteSpec,
  Monitor: monitorSpec,
} as const;

/** An object whose spec went through the kind's schema, so that defaults are in it. */
export function object<K extends keyof typeof SPECS>(
  kind: K,
  name: string,
  spec: z.input<(typeof SPECS)[K]>,
): CustomResource<z.output<(typeof SPECS)[K]>> {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name },
    spec: SPECS[kind].parse(spec) as z.output<(typeof SPECS)[K]>,
  };
}

export const minimalPrompt = (name = "triage", content = "Answer: {{question}}") =>
  object("PromptTemplate", name, {
    messages: [{ role: "user", content }],
    variables: [{ name: "question" }],
  });

export const minimalModel = (name = "small", model = "llama-3.2-1b") =>
  object("ModelDeployment", name, {
    type: "External",
    external: { baseURL: "https://models.example.com/v1", model },
  });

export const minimalSuite = (name = "support", prompt = "triage", model = "small") =>
  object("EvalSuite", name, {
    targets: [{ name: "main", promptRef: { name: prompt }, modelRef: { name: model } }],
    cases: { inline: [{ id: "one", vars: { question: "hi" }, expected: "hello" }] },
    assert: [{ type: "equals", value: "{{expected}}" }],
  });
