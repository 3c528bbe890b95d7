import { durationMs } from "../../../../schemas/common.ts";
import type { EvalRun } from "../../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../../schemas/eval-suite.ts";
import { API_VERSION, LABEL_MONITOR_SIGNAL, LABEL_REPOSITORY } from "../../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import type { Monitor, MonitorSignal, ReplaySignal, SignalStatus } from "../../../../schemas/monitor.ts";
import type { PromptTemplate } from "../../../../schemas/prompt-template.ts";
import { evalRunName } from "../../../eval/run-name.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import type { KubeObject } from "../../../kube/resources.ts";
import type { EffectOutcome, EffectRequest } from "../../../runtime/kind.ts";
import { requestedAt } from "../../../runtime/status.ts";
import { type BundleInput, type BundleOutput, bundleInput } from "../../eval-suite/bundle-input.ts";
import { formatValue, type Reading } from "../state.ts";
import type { CompareInput, CompareOutput } from "./replay-compare.ts";

/** What there is for one replay. */
export interface ObservedReplay {
  readonly suite: EvalSuite | undefined;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  /** The run that the suite's own score is from. */
  readonly suiteRun: EvalRun | undefined;
  /** Runs of this signal, newest first. */
  readonly runs: readonly EvalRun[];
  readonly bundle: EffectOutcome | undefined;
  readonly comparison: EffectOutcome | undefined;
}

/** What the status says of a replay, besides its state. */
export type ReplayStatus = Pick<SignalStatus, "run" | "reference" | "lastHandledRequestedAt">;

export interface ReplayDecision {
  readonly children: readonly KubeObject[];
  readonly effects: readonly EffectRequest[];
  readonly reading: Reading;
  readonly status: ReplayStatus;
  /** When the next run is due, ms; absent while one runs. */
  readonly waitMs?: number;
}

type Bundling = { input: BundleInput } | { reason: string; message: string; passing: boolean };

/** What a run needs: the suite with those targets that are on the watched deployment. */
export function replayBundle(
  monitor: Monitor,
  { suiteRef }: ReplaySignal,
  { suite, prompts, models }: Pick<ObservedReplay, "suite" | "prompts" | "models">,
): Bundling {
  if (!suite)
    return { reason: "EvalSuiteNotFound", message: `there is no EvalSuite ${suiteRef.name}`, passing: false };
  const watched = monitor.spec.targetRef.name;
  const targets = suite.spec.targets.filter(({ modelRef }) => modelRef.name === watched);
  if (targets.length === 0)
    return {
      reason: "NotATarget",
      message: `no target of EvalSuite ${suiteRef.name} is on ModelDeployment ${watched}`,
      passing: false,
    };
  const prepared = bundleInput({ ...suite, spec: { ...suite.spec, targets } }, prompts, models);
  return "input" in prepared ? prepared : { ...prepared.missing, passing: true };
}

/** Starts a run when one is due, keeps the last ones, and reads the newest that has a verdict. */
export function decideReplay(
  monitor: Monitor,
  signal: MonitorSignal,
  replay: ReplaySignal,
  observed: ObservedReplay,
  now: Date,
): ReplayDecision {
  const { runs, bundle } = observed;
  const before = monitor.status?.signals?.find(({ name }) => name === signal.name);
  const { asked, handled } = requestOf(monitor, before);
  const finished = runs.find(({ status }) => status?.verdict !== undefined);
  const children = runs.slice(0, replay.keep).map(asChild);
  const said = readRun(replay, observed, finished, before);
  // The engine echoes the request when it writes the status; that of a run stays open until there is one.
  const read = { ...said, status: { ...said.status, ...handled } };
  const preparing = replayBundle(monitor, replay, observed);
  if (!("input" in preparing)) {
    const { reason, message } = preparing;
    // A model that is away for a moment is for other signals to tell; what the last run said stands.
    const reading: Reading = preparing.passing && finished ? read.reading : { kind: "none", reason, message };
    return { ...read, children, reading };
  }
  const { input } = preparing;
  const request = (attempt: number): EffectRequest => ({
    name: "bundle",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt,
    durable: false,
  });
  const running = runs[0] !== undefined && runs[0].status?.verdict === undefined;
  if (running)
    return {
      ...read,
      children,
      effects: [...read.effects, request(bundle?.attempt ?? 1)],
      status: { ...read.status, ...answered(asked) },
    };
  const left = dueIn(runs[0], asked === undefined ? durationMs(replay.every) : 0, now);
  if (left > 0)
    return { ...read, children, effects: [...read.effects, request(bundle?.attempt ?? 1)], waitMs: left };
  if (bundle?.state === "Failed") {
    const { code, message } = bundle.error ?? {
      code: "BundleFailed",
      message: "the cases could not be read",
    };
    const retry = (bundle.finishedAt ?? 0) + RETRY_MS - now.getTime();
    return {
      ...read,
      children,
      effects: [...read.effects, request(bundle.attempt + (retry <= 0 ? 1 : 0))],
      reading: { kind: "none", reason: code, message },
      waitMs: Math.max(50, retry),
    };
  }
  const effects = [...read.effects, request(bundle?.attempt ?? 1)];
  if (bundle?.state !== "Succeeded") return { ...read, children, effects };
  const slot = [Math.floor(now.getTime() / durationMs(replay.every)), asked];
  const name = evalRunName("", monitor.metadata.name, digestOf([monitor.metadata.uid, signal.name, ...slot]));
  const wanted = runOf(monitor, signal, name, input, bundle.output as unknown as BundleOutput);
  const others = children.filter(({ metadata }) => metadata.name !== name);
  return {
    ...read,
    children: [wanted, ...others.slice(0, replay.keep - 1)],
    effects,
    status: { ...read.status, ...answered(asked) },
  };
}

type Handled = Pick<SignalStatus, "lastHandledRequestedAt">;

/** The request that no run was started for yet; what is new is due anyway. */
function requestOf(
  monitor: Monitor,
  before: SignalStatus | undefined,
): { asked: string | undefined; handled: Handled } {
  const request = requestedAt(monitor as unknown as KubeObject);
  const handled = before ? before.lastHandledRequestedAt : request;
  return { asked: request === handled ? undefined : request, handled: answered(handled) };
}

const answered = (request: string | undefined): Handled =>
  request === undefined ? {} : { lastHandledRequestedAt: request };

const RETRY_MS = 60_000;

/**
 * The API server tells times of creation in whole seconds, and the newest run has to be known by them: one second, and
 * one for clocks that differ.
 */
const APART_MS = 2_000;

function dueIn(newest: EvalRun | undefined, everyMs: number, now: Date): number {
  if (!newest) return 0;
  return createdAt(newest) + Math.max(everyMs, APART_MS) - now.getTime();
}

export function createdAt(run: EvalRun): number {
  const { creationTimestamp } = run.metadata as { creationTimestamp?: string };
  return Date.parse(creationTimestamp ?? "") || 0;
}

/** What the newest finished run says, against its reference. */
function readRun(
  replay: ReplaySignal,
  observed: ObservedReplay,
  run: EvalRun | undefined,
  before: SignalStatus | undefined,
): Pick<ReplayDecision, "effects" | "reading" | "status"> {
  const known = before?.reference ? { reference: before.reference } : {};
  if (!run) return { effects: [], reading: { kind: "unknown" }, status: known };
  const { name } = run.metadata;
  if (run.status?.verdict === "Error" || run.status?.result === undefined) {
    const passing = run.status?.conditions?.find(({ type }) => type === "Passing");
    return {
      effects: [],
      reading: {
        kind: "none",
        reason: passing?.reason ?? "EvaluationFailed",
        message: `EvalRun ${name} has no verdict`,
      },
      status: { ...known, run: name },
    };
  }
  const reference = referenceOf(replay, observed, run, before);
  const status = { run: name, ...(reference ? { reference } : {}) };
  if (replay.reference !== "None" && !reference)
    return {
      effects: [],
      reading: {
        kind: "none",
        reason: "NoReference",
        message: `EvalSuite ${replay.suiteRef.name} has not passed yet`,
      },
      status,
    };
  const input = compareInput(replay, run, reference);
  const { comparison } = observed;
  const attempt = (comparison?.attempt ?? 1) + (comparison?.state === "Failed" ? 1 : 0);
  const effects: EffectRequest[] = [
    {
      name: "compare",
      inputDigest: digestOf(input),
      input: input as unknown as Json,
      attempt,
      durable: false,
    },
  ];
  if (comparison?.state !== "Succeeded") return { effects, reading: { kind: "unknown" }, status };
  const output = comparison.output as unknown as CompareOutput;
  if ("reason" in output) return { effects, reading: { kind: "none", ...output }, status };
  return {
    effects,
    reading: { kind: "value", ...output, message: messageOf(name, output, reference) },
    status,
  };
}

type Reference = NonNullable<SignalStatus["reference"]>;

/** The run that the newest is compared with. */
export function referenceOf(
  { reference }: ReplaySignal,
  { suiteRun }: Pick<ObservedReplay, "suiteRun">,
  run: EvalRun,
  before: SignalStatus | undefined,
): Reference | undefined {
  const of = ({ metadata, spec, status }: EvalRun): Reference | undefined =>
    status?.result === undefined
      ? undefined
      : { run: metadata.name, result: status.result, suite: spec.suite.revision };
  if (reference === "None") return undefined;
  // Other cases or assertions are another measure.
  const pinned = before?.reference?.suite === run.spec.suite.revision ? before.reference : undefined;
  if (reference === "FirstRun") return pinned ?? of(run);
  return (suiteRun?.status?.verdict === "Pass" ? of(suiteRun) : undefined) ?? pinned;
}

/** Names the comparison; `observe` needs its digest as well. */
export function compareInput(
  { metric }: ReplaySignal,
  run: EvalRun,
  reference: Reference | undefined,
): CompareInput {
  return {
    metric,
    suiteBundle: run.spec.suite.bundle,
    result: run.status?.result ?? "",
    ...(reference ? { reference: reference.result } : {}),
  };
}

function messageOf(
  run: string,
  { mean, lower, upper, value }: Extract<CompareOutput, { value: number }>,
  reference: Reference | undefined,
): string {
  if (!reference || lower === undefined || upper === undefined) return `EvalRun ${run}: ${formatValue(mean)}`;
  const interval = [lower, upper].map(formatValue).join(" to ");
  return `EvalRun ${run}: ${formatValue(mean)}, ${formatValue(value)} (${interval}) against EvalRun ${reference.run}`;
}

function runOf(
  monitor: Monitor,
  signal: MonitorSignal,
  name: string,
  { suite }: BundleInput,
  output: BundleOutput,
): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind: "EvalRun",
    metadata: { name, labels: labelsOf(signal.name, monitor.metadata.labels?.[LABEL_REPOSITORY]) },
    spec: {
      suite: { name: suite.name, revision: suite.revision, bundle: output.suite },
      trigger: "Monitor",
      head: { bundle: output.side, revision: output.sideRevision },
    } satisfies EvalRun["spec"],
  };
}

/** A run that is there stays as it is. */
export function asChild({ metadata, spec }: EvalRun): KubeObject {
  const signal = metadata.labels?.[LABEL_MONITOR_SIGNAL] ?? "";
  return {
    apiVersion: API_VERSION,
    kind: "EvalRun",
    metadata: { name: metadata.name, labels: labelsOf(signal, metadata.labels?.[LABEL_REPOSITORY]) },
    spec,
  };
}

function labelsOf(signal: string, repository: string | undefined): Record<string, string> {
  return {
    [LABEL_MONITOR_SIGNAL]: signal,
    ...(repository === undefined ? {} : { [LABEL_REPOSITORY]: repository }),
  };
}
