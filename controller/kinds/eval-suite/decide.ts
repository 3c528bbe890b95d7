import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite, EvalSuiteStatus } from "../../../schemas/eval-suite.ts";
import { API_VERSION, LABEL_REPOSITORY } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { condition, ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { revisionFields } from "../types.ts";

/** Input of the effect that puts everything a run needs into the blob store. */
export interface BundleInput {
  readonly suite: { readonly name: string; readonly spec: EvalSuite["spec"]; readonly revision: string };
  readonly prompts: Readonly<
    Record<string, { readonly spec: PromptTemplate["spec"]; readonly revision: string }>
  >;
  readonly models: Readonly<
    Record<string, { readonly spec: ModelDeployment["spec"]; readonly revision: string }>
  >;
}

export interface BundleOutput {
  readonly suite: string;
  readonly side: string;
  readonly sideRevision: string;
  readonly cases: number;
}

export interface ObservedSuite {
  readonly suite: EvalSuite;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  readonly bundle: EffectOutcome | undefined;
  /** The runs that this suite owns. */
  readonly runs: readonly EvalRun[];
}

/** What a dependency has to be before a suite can run on it. */
type Missing = { readonly reason: string; readonly message: string };

/** The input of the bundle, or what it waits for. Used by `observe` too, which needs its digest. */
export function bundleInput(
  suite: EvalSuite,
  prompts: ReadonlyMap<string, PromptTemplate>,
  models: ReadonlyMap<string, ModelDeployment>,
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
    bundledModels[name] = { spec: model.spec, revision };
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

/** The revision of an object that is Ready at its generation. */
function readyRevision(object: PromptTemplate | ModelDeployment): string | undefined {
  const { status, metadata } = object;
  if (status?.observedGeneration !== metadata.generation) return undefined;
  return status?.conditions?.some((c) => c.type === "Ready" && c.status === "True")
    ? status.revision
    : undefined;
}

/** Keeps the suite's score for what is deployed: bundles what a run needs, runs it once per revision. */
export function decide(observed: ObservedSuite): Decision<EvalSuiteStatus> {
  const { suite, bundle } = observed;
  const before = suite.status ?? {};
  const kept = pick(before);
  const prepared = bundleInput(suite, observed.prompts, observed.models);
  if ("missing" in prepared) {
    return {
      children: observed.runs.map(asChild),
      effects: [],
      status: {
        ...kept,
        conditions: [...reconciling(prepared.missing.reason, prepared.missing.message), ...passing(before)],
      },
    };
  }
  const { input } = prepared;
  const identity = { ...kept, ...revisionFields(input.suite.revision) };
  const request: EffectRequest = {
    name: "bundle",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt:
      bundle?.state === "Failed" && bundle.error?.retryable ? bundle.attempt + 1 : (bundle?.attempt ?? 1),
    durable: false,
  };
  if (bundle?.state === "Failed" && !bundle.error?.retryable) {
    const { code, message } = bundle.error ?? { code: "BundleFailed", message: "unknown error" };
    return {
      children: observed.runs.map(asChild),
      effects: [request],
      status: { ...identity, conditions: stalled(code, message) },
    };
  }
  if (bundle?.state !== "Succeeded") {
    return {
      children: observed.runs.map(asChild),
      effects: [request],
      status: {
        ...identity,
        conditions: [...reconciling("Preparing", "reading the cases"), ...passing(before)],
      },
    };
  }
  const output = bundle.output as unknown as BundleOutput;
  const name = runName(suite.metadata.name, output);
  const run = observed.runs.find(({ metadata }) => metadata.name === name);
  return {
    children: [runFor(suite, name, input.suite.revision, output)],
    effects: [request],
    status: {
      ...identity,
      cases: output.cases,
      ...(run?.status?.verdict
        ? { lastRun: name, ...(run.status.score === undefined ? {} : { score: run.status.score }) }
        : {}),
      conditions: [
        ...(run?.status?.verdict
          ? ready("Evaluated", `${output.cases} cases, see EvalRun ${name}`)
          : reconciling("Evaluating", `EvalRun ${name}: ${run?.status?.progress ?? "starting"}`)),
        ...(run?.status?.verdict ? [verdictCondition(run)] : passing(before)),
      ],
    },
  };
}

/** One run per suite content, policy and targets. */
export function runName(suite: string, bundle: Pick<BundleOutput, "suite" | "side">): string {
  return `${suite.slice(0, 40)}-${digestOf([bundle.suite, bundle.side]).slice(0, 10)}`;
}

function runFor(suite: EvalSuite, name: string, revision: string, output: BundleOutput): KubeObject {
  const repository = suite.metadata.labels?.[LABEL_REPOSITORY];
  return {
    apiVersion: API_VERSION,
    kind: "EvalRun",
    metadata: {
      name,
      ...(suite.metadata.namespace ? { namespace: suite.metadata.namespace } : {}),
      ...(repository === undefined ? {} : { labels: { [LABEL_REPOSITORY]: repository } }),
    },
    spec: {
      suite: { name: suite.metadata.name, revision, bundle: output.suite },
      trigger: "Merge",
      head: { bundle: output.side, revision: output.sideRevision },
    } satisfies EvalRun["spec"],
  };
}

/** A run that is there already, kept until it is known which one is wanted: it may be running. */
function asChild(run: EvalRun): KubeObject {
  const { name, namespace, labels } = run.metadata;
  const repository = labels?.[LABEL_REPOSITORY];
  return {
    apiVersion: API_VERSION,
    kind: "EvalRun",
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(repository === undefined ? {} : { labels: { [LABEL_REPOSITORY]: repository } }),
    },
    spec: run.spec,
  };
}

function verdictCondition(run: EvalRun) {
  const verdict = run.status?.verdict;
  const message = `EvalRun ${run.metadata.name} ended as ${verdict}`;
  if (verdict === "Pass") return condition("Passing", "True", "Passed", message);
  if (verdict === "Fail") return condition("Passing", "False", "Failed", message);
  return condition("Passing", "Unknown", verdict ?? "Unknown", message);
}

const pick = ({ cases, score, lastRun }: EvalSuiteStatus): EvalSuiteStatus => ({
  ...(cases === undefined ? {} : { cases }),
  ...(score === undefined ? {} : { score }),
  ...(lastRun === undefined ? {} : { lastRun }),
});

const passing = (before: EvalSuiteStatus) => (before.conditions ?? []).filter((c) => c.type === "Passing");
