import type { Ask } from "../controller/eval/answers.ts";
import type { BundledModel, BundledTarget, SideBundle, SuiteBundle } from "../controller/eval/bundle.ts";
import { callModel } from "../controller/eval/model/index.ts";
import { digestOf, type Json } from "../controller/graph/canonical.ts";
import type { ResultCache } from "../controller/store/store.ts";
import type { EvalCase } from "../schemas/eval-suite.ts";
import { budget } from "../schemas/eval-suite.ts";
import type { ModelDeploymentSpec } from "../schemas/model-deployment.ts";
import type { PromptTemplateSpec } from "../schemas/prompt-template.ts";

/** Bundles for tests and benchmarks: a prompt that asks `{{q}}`, one target, one endpoint. */

export function modelOf(
  baseURL: string,
  external: Partial<ModelDeploymentSpec["external"] & object> = {},
): BundledModel {
  const spec: ModelDeploymentSpec = {
    type: "External",
    external: { baseURL, model: "m-1", timeout: "5s", maxConcurrency: 8, ...external },
  };
  return { name: "model", revision: digestOf({ baseURL, model: spec.external?.model }), spec };
}

export function targetOf(
  model: BundledModel,
  content: string,
  prompt: Partial<PromptTemplateSpec> = {},
): BundledTarget {
  const spec: PromptTemplateSpec = {
    messages: [{ role: "user", content }],
    variables: [{ name: "q", type: "string" }],
    ...prompt,
  };
  return { name: "chat", prompt: { name: "prompt", revision: digestOf(spec), spec }, model };
}

export function sideOf(...targets: BundledTarget[]): SideBundle {
  return { targets };
}

export function casesOf(count: number, more: (index: number) => Partial<EvalCase> = () => ({})): EvalCase[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `c${index}`,
    vars: { q: `question ${index}` },
    ...more(index),
  }));
}

export function suiteOf(
  suite: Partial<Omit<SuiteBundle, "budget">> & { budget?: Partial<SuiteBundle["budget"]> },
): SuiteBundle {
  return {
    name: "suite",
    revision: digestOf("suite"),
    cases: casesOf(4),
    assert: [],
    gates: [],
    repeats: 1,
    ...suite,
    budget: { ...budget.parse({}), ...suite.budget },
  };
}

/** A cache in memory. */
export function memoryCache(): ResultCache & { readonly size: number } {
  const entries = new Map<string, Json>();
  return {
    get: (tenant, bucket, key) => entries.get(`${tenant}/${bucket}/${key}`),
    put: async (tenant, bucket, key, value) => void entries.set(`${tenant}/${bucket}/${key}`, value),
    get size() {
      return entries.size;
    },
  };
}

/** Asks the bundled endpoint without a key. */
export const askDirectly: Ask = (model, request, signal) => {
  const { baseURL, model: name } = model.spec.external!;
  return callModel({ endpoint: { baseURL, model: name, timeoutMs: 2_000 }, request, signal });
};
