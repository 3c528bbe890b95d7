import type { EvalRun } from "../../../schemas/eval-run.ts";
import { budget, type EvalSuite, type EvalSuiteStatus } from "../../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { SlipwayError } from "../../errors.ts";
import type { BundledModel, SideBundle, SuiteBundle } from "../../eval/bundle.ts";
import { sideRevisionOf } from "../../eval/side.ts";
import { canonicalJson, digestOf, type Json } from "../../graph/canonical.ts";
import { isOwnedBy } from "../../kube/apply.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { EffectHandler, Kind, ObjectRef, View } from "../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { ofRepositories } from "../repository-files.ts";
import { readCases } from "../suite-cases.ts";
import { EVAL_RUN, EVAL_SUITE, MODEL_DEPLOYMENT, PROMPT_TEMPLATE } from "../types.ts";
import { type BundleInput, type BundleOutput, bundleInput, decide, type ObservedSuite } from "./decide.ts";

function observe(object: KubeObject, view: View): ObservedSuite {
  const suite = object as unknown as EvalSuite;
  const { namespace = "", name } = object.metadata;
  const prompts = new Map<string, PromptTemplate>();
  const models = new Map<string, ModelDeployment>();
  for (const { promptRef, modelRef } of suite.spec.targets) {
    const prompt = view.get<KubeObject & PromptTemplate>(PROMPT_TEMPLATE, namespace, promptRef.name);
    if (prompt) prompts.set(promptRef.name, prompt);
    const model = view.get<KubeObject & ModelDeployment>(MODEL_DEPLOYMENT, namespace, modelRef.name);
    if (model) models.set(modelRef.name, model);
  }
  const judge = suite.spec.judge?.modelRef.name;
  if (judge !== undefined) {
    const model = view.get<KubeObject & ModelDeployment>(MODEL_DEPLOYMENT, namespace, judge);
    if (model) models.set(judge, model);
  }
  const ref: ObjectRef = { kind: "EvalSuite", namespace, name };
  const prepared = bundleInput(suite, prompts, models);
  return {
    suite,
    prompts,
    models,
    bundle: "input" in prepared ? view.effect(ref, "bundle", digestOf(prepared.input)) : undefined,
    runs: view
      .list<KubeObject & EvalRun>(EVAL_RUN, namespace)
      .filter((run) => isOwnedBy(run, object.metadata.uid ?? "")),
  };
}

/** Stores what a run needs, so that it can be repeated exactly: cases and policy, prompts and deployments. */
export async function storeBundle(
  input: BundleInput,
  blobs: Pick<BlobStore, "put" | "get">,
): Promise<BundleOutput> {
  const { spec, name, revision } = input.suite;
  const modelOf = (model: string): BundledModel => {
    const found = input.models[model];
    if (!found) throw new SlipwayError("ModelDeploymentNotFound", `there is no ModelDeployment ${model}`);
    return { name: model, ...found };
  };
  const suite: SuiteBundle = {
    name,
    revision,
    cases: await readCases(spec.cases, blobs),
    assert: spec.assert,
    gates: spec.gates,
    repeats: spec.repeats,
    budget: spec.budget ?? budget.parse({}),
    ...(spec.judge ? { judge: modelOf(spec.judge.modelRef.name) } : {}),
  };
  const side: SideBundle = {
    targets: spec.targets.map((target) => {
      const prompt = input.prompts[target.promptRef.name];
      if (!prompt)
        throw new SlipwayError(
          "PromptTemplateNotFound",
          `there is no PromptTemplate ${target.promptRef.name}`,
        );
      return {
        name: target.name,
        prompt: { name: target.promptRef.name, ...prompt },
        model: modelOf(target.modelRef.name),
      };
    }),
  };
  return {
    suite: await blobs.put(canonicalJson(suite)),
    side: await blobs.put(canonicalJson(side)),
    sideRevision: sideRevisionOf(side),
    cases: suite.cases.length,
  };
}

export interface BundleDependencies {
  readonly blobs: Pick<BlobStore, "put" | "get">;
  readonly reports: Pick<ReportStore, "hasUploadIn" | "addUpload">;
}

/** The effect `bundle`, of every kind that evaluates a suite. What it stores, EvalRuns of the namespace may name. */
export function bundle({ blobs, reports }: BundleDependencies): EffectHandler {
  return ofRepositories(
    async (input, { owner }) => {
      const output = await storeBundle(input as unknown as BundleInput, blobs);
      for (const digest of [output.suite, output.side]) await reports.addUpload(owner, digest);
      return output as unknown as Json;
    },
    (input) => (input as BundleInput).suite.spec.cases.files ?? [],
    reports,
  );
}

export function evalSuite(dependencies: BundleDependencies): Kind<ObservedSuite, EvalSuiteStatus> {
  return {
    type: EVAL_SUITE,
    childTypes: [EVAL_RUN],
    observe,
    decide,
    dependencies: (object) => {
      const { spec } = object as unknown as EvalSuite;
      return [
        ...spec.targets.flatMap(({ promptRef, modelRef }) => [
          { type: PROMPT_TEMPLATE, name: promptRef.name },
          { type: MODEL_DEPLOYMENT, name: modelRef.name },
        ]),
        ...(spec.judge ? [{ type: MODEL_DEPLOYMENT, name: spec.judge.modelRef.name }] : []),
      ];
    },
    effects: { bundle: bundle(dependencies) },
  };
}
