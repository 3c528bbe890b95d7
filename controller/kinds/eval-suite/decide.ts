import type { EvalRun, Verdict } from "../../../schemas/eval-run.ts";
import type { EvalSuite, EvalSuiteStatus } from "../../../schemas/eval-suite.ts";
import { API_VERSION, LABEL_REPOSITORY } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { evalRunName } from "../../eval/run-name.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { condition, ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { revisionFields } from "../types.ts";
import { type BundleInput, type BundleOutput, bundleInput } from "./bundle-input.ts";

export { type BundleInput, type BundleOutput, bundleInput } from "./bundle-input.ts";

export interface ObservedSuite {
  readonly suite: EvalSuite;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  readonly bundle: EffectOutcome | undefined;
  /** The runs that this suite owns. */
  readonly runs: readonly EvalRun[];
}

function isReady(object: EvalSuite): boolean {
  return saidOf(object)?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/** The conditions, if they speak of the present spec. */
function saidOf({ status, metadata }: EvalSuite) {
  return status?.observedGeneration === metadata.generation ? status?.conditions : undefined;
}

/** A bundle that needs a person is tried again after this: a Secret or a blob that appears wakes nobody. */
const FAILED_RETRY_MS = 60_000;

/** Keeps the suite's score for what is deployed: bundles what a run needs, runs it once per revision. */
export function decide(observed: ObservedSuite, now: Date): Decision<EvalSuiteStatus> {
  const { suite, bundle } = observed;
  const before = suite.status ?? {};
  const kept = pick(before);
  // Until it is known which run is wanted, all stay: one of them may be running.
  const children = observed.runs.map(asChild);
  const prepared = bundleInput(suite, observed.prompts, observed.models);
  if ("missing" in prepared) {
    const { reason, message } = prepared.missing;
    return {
      children,
      effects: [],
      status: { ...kept, conditions: [...reconciling(reason, message), ...passing(before)] },
    };
  }
  const { input } = prepared;
  const identity = { ...kept, ...revisionFields(input.suite.revision) };
  const attempt = bundle?.attempt ?? 1;
  const request = (attempt: number): EffectRequest => ({
    name: "bundle",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt,
    durable: false,
  });
  if (bundle?.state === "Failed") {
    const { code, message, retryable } = bundle.error ?? {
      code: "BundleFailed",
      message: "the cases could not be read",
      retryable: false,
    };
    const left = retryable ? 0 : (bundle.finishedAt ?? 0) + FAILED_RETRY_MS - now.getTime();
    const conditions = retryable ? reconciling(code, message) : stalled(code, message);
    return {
      children,
      effects: [request(left <= 0 ? attempt + 1 : attempt)],
      status: { ...identity, conditions: [...conditions, ...passing(before)] },
      requeueAfterMs: Math.max(50, left),
      events: [{ type: "Warning", reason: code, note: message }],
    };
  }
  if (bundle?.state !== "Succeeded") {
    const told = attempt > 1 || settled(observed, input) ? saidOf(suite) : undefined;
    const preparing = [...reconciling("Preparing", "reading the cases"), ...passing(before)];
    return {
      children,
      effects: [request(attempt)],
      status: { ...identity, conditions: told ?? preparing },
    };
  }
  const output = bundle.output as unknown as BundleOutput;
  const name = runName(suite.metadata.name, output);
  const wanted = runFor(suite, name, input.suite.revision, output);
  const run = observed.runs.find(({ metadata }) => metadata.name === name);
  if (!run?.status?.verdict) {
    // The run that the score is from stays until there is another score.
    const former = observed.runs.filter(
      ({ metadata, status }) =>
        metadata.name !== name && metadata.name === before.lastRun && status?.verdict !== undefined,
    );
    const progress = `EvalRun ${name}: ${run?.status?.progress ?? "starting"}`;
    return {
      children: [wanted, ...former.map(asChild)],
      effects: [request(attempt)],
      status: {
        ...identity,
        cases: output.cases,
        conditions: [
          ...reconciling("Evaluating", progress),
          condition("Passing", "Unknown", "Evaluating", `EvalRun ${name} has no verdict yet`),
        ],
      },
    };
  }
  const { score, verdict } = run.status;
  const { score: _, ...rest } = identity;
  return {
    children: [wanted],
    effects: [request(attempt)],
    status: {
      ...rest,
      cases: output.cases,
      lastRun: name,
      ...(score === undefined ? {} : { score }),
      conditions: [
        ...ready("Evaluated", `${output.cases} cases, see EvalRun ${name}`),
        verdictCondition(run.metadata.name, verdict),
      ],
    },
  };
}

/**
 * The status speaks of what is deployed now: the process has only been started again. Then it stays as it is, or every
 * restart would make every suite unready for a moment.
 */
function settled({ suite, runs }: ObservedSuite, input: BundleInput): boolean {
  const { lastRun, revision } = suite.status ?? {};
  const last = runs.find(({ metadata }) => metadata.name === lastRun);
  return (
    isReady(suite) &&
    revision === input.suite.revision &&
    last?.status?.verdict !== undefined &&
    last.spec.head.revision === wantedSide(suite, input)
  );
}

/** As `sideRevisionOf` of the bundle will be. */
function wantedSide({ spec }: EvalSuite, { prompts, models }: BundleInput): string {
  return digestOf(
    Object.fromEntries(
      spec.targets.map(({ name, promptRef, modelRef }) => [
        name,
        [prompts[promptRef.name]?.revision, models[modelRef.name]?.revision],
      ]),
    ),
  );
}

/** One run per suite content, policy and targets. */
export function runName(suite: string, bundle: Pick<BundleOutput, "suite" | "side">): string {
  return evalRunName("", suite, digestOf([bundle.suite, bundle.side]));
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

function verdictCondition(name: string, verdict: Verdict) {
  const message = `EvalRun ${name} ended as ${verdict}`;
  if (verdict === "Pass") return condition("Passing", "True", "Passed", message);
  if (verdict === "Fail") return condition("Passing", "False", "Failed", message);
  return condition("Passing", "Unknown", verdict, message);
}

const pick = ({ cases, score, lastRun }: EvalSuiteStatus): EvalSuiteStatus => ({
  ...(cases === undefined ? {} : { cases }),
  ...(score === undefined ? {} : { score }),
  ...(lastRun === undefined ? {} : { lastRun }),
});

const passing = (before: EvalSuiteStatus) => (before.conditions ?? []).filter((c) => c.type === "Passing");
