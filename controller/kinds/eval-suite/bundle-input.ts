import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import type { BundledModel } from "../../eval/bundle.ts";
import { revisionOf } from "../../graph/graph.ts";

/** Input of the effect that puts everything a run needs into the blob store. */
export interface BundleInput {
  readonly suite: { readonly name: string; readonly spec: EvalSuite["spec"]; readonly revision: string };
  readonly prompts: Readonly<
    Record<string, { readonly spec: PromptTemplate["spec"]; readonly revision: string }>
  >;
  readonly models: Readonly<Record<string, Omit<BundledModel, "name">>>;
}

export interface BundleOutput {
  readonly suite: string;
  readonly side: string;
  readonly sideRevision: string;
  readonly cases: number;
}

/** What a dependency has to be before a suite can run on it. */
type Missing = { readonly reason: string; readonly message: string };

/**
 * The input of the bundle, or what it waits for. Used by `observe` too, which needs its digest.
 * @param candidates in place of the deployments of these names: revisions that do not serve yet
 */
export function bundleInput(
  suite: EvalSuite,
  prompts: ReadonlyMap<string, PromptTemplate>,
  models: ReadonlyMap<string, ModelDeployment>,
  candidates: ReadonlyMap<string, BundleInput["models"][string]> = new Map(),
): { input: BundleInput } | { missing: Missing } {
  const bundledPrompts: Record<string, BundleInput["prompts"][string]> = {};
  const bundledModels: Record<string, BundleInput["models"][string]> = {};
  for (const { promptRef } of suite.spec.targets) {
    const prompt = prompts.get(promptRef.name);
    if (!prompt)
      return {
        missing: {
          reason: "PromptTemplateNotFound",
          message: `there is no PromptTemplate ${promptRef.name}`,
        },
      };
    const revision = readyRevision(prompt);
    if (!revision)
      return {
        missing: {
          reason: "PromptTemplateNotReady",
          message: `PromptTemplate ${promptRef.name} is not Ready`,
        },
      };
    bundledPrompts[promptRef.name] = { spec: prompt.spec, revision };
  }
  const modelNames = [
    ...suite.spec.targets.map((t) => t.modelRef.name),
    ...(suite.spec.judge ? [suite.spec.judge.modelRef.name] : []),
  ];
  for (const name of modelNames) {
    const candidate = candidates.get(name);
    if (candidate) {
      bundledModels[name] = { ...candidate, spec: withoutReplicas(candidate.spec) };
      continue;
    }
    const model = models.get(name);
    if (!model)
      return {
        missing: { reason: "ModelDeploymentNotFound", message: `there is no ModelDeployment ${name}` },
      };
    const revision = readyRevision(model);
    if (!revision)
      return {
        missing: { reason: "ModelDeploymentNotReady", message: `ModelDeployment ${name} is not Ready` },
      };
    const { address, model: served } = model.status?.endpoint ?? {};
    bundledModels[name] = {
      spec: withoutReplicas(model.spec),
      revision,
      ...(address === undefined || served === undefined
        ? {}
        : { endpoint: { baseURL: address, model: served } }),
    };
  }
  const revision = revisionOf(suite as never, (edge) => bundledModels[edge.name]?.revision);
  if (!revision)
    return {
      missing: { reason: "Unresolved", message: "a case file has no digest: only a Repository sets it" },
    };
  return {
    input: {
      suite: { name: suite.metadata.name, spec: suite.spec, revision },
      prompts: bundledPrompts,
      models: bundledModels,
    },
  };
}

/** Autoscalers move the replicas: a run or a stopped rollout would begin anew with each of their steps. */
export function withoutReplicas({ inCluster, ...spec }: ModelDeployment["spec"]): ModelDeployment["spec"] {
  if (!inCluster) return spec;
  const { replicas: _, ...rest } = inCluster;
  return { ...spec, inCluster: rest };
}

/** The revision of an object that is Ready at its generation. */
function readyRevision(object: PromptTemplate | ModelDeployment): string | undefined {
  return isReady(object) ? object.status?.revision : undefined;
}

function isReady({ status, metadata }: PromptTemplate | ModelDeployment): boolean {
  const ready = status?.conditions?.some(({ type, status: said }) => type === "Ready" && said === "True");
  return status?.observedGeneration === metadata.generation && ready === true;
}
