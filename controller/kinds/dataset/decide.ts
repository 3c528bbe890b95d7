import type { Dataset, DatasetSpec, DatasetStatus } from "../../../schemas/dataset.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { condition, ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { type SharedRef, sharedKey, sharedObject } from "../shared-with.ts";
import { revisionFields } from "../types.ts";
import { cycleMessage } from "./cycle.ts";
import { bytesOf, decideJob, type ObservedWork, progressOf } from "./decide-job.ts";
import { decideResolution, type FetchedSource, type ObservedFetch, outsideSources } from "./resolution.ts";

/** Everything that the result depends on. */
export interface PrepareInput {
  readonly name: string;
  readonly spec: DatasetSpec;
  /** Artifacts of the Datasets among the sources, by `sharedKey`. */
  readonly artifacts: Readonly<Record<string, string>>;
  /** Cases of the EvalSuites that steps name. */
  readonly suites: Readonly<Record<string, EvalSuite["spec"]["cases"]>>;
  /** What was read from the urls among the sources. */
  readonly fetched?: readonly FetchedSource[];
}

/** What the effect has come to: published, or which gate does not hold. */
export interface PrepareOutput {
  readonly artifact?: { readonly digest: string; readonly rows: number; readonly bytes: number };
  readonly fault?: { readonly gate: string; readonly message: string };
  readonly read: number;
  readonly splits: readonly { readonly name: string; readonly rows: number }[];
  readonly steps: readonly { readonly name: string; readonly dropped: number; readonly changed: number }[];
  readonly piiRows: number;
  readonly words: number;
}

export interface ObservedDataset {
  readonly dataset: Dataset;
  /** Those among its sources, by `sharedKey`. */
  readonly datasets: ReadonlyMap<string, Dataset>;
  /** The way on which it is made from itself. */
  readonly cycle?: readonly SharedRef[] | undefined;
  readonly suites: ReadonlyMap<string, EvalSuite>;
  readonly serviceAccountName: string;
  readonly fetch: ObservedFetch;
  /** Of an input, by its digest: it is known once the urls are read. */
  readonly preparation: (inputDigest: string) => EffectOutcome | undefined;
  readonly work?: ObservedWork | undefined;
}

interface Missing {
  readonly reason: string;
  readonly message: string;
}

/** The Datasets and the names of EvalSuites that a Dataset is made with. */
export function referencesOf({ sources, steps }: DatasetSpec): { datasets: SharedRef[]; suites: string[] } {
  return {
    datasets: sources.flatMap(({ datasetRef }) => (datasetRef ? [datasetRef] : [])),
    suites: steps.flatMap(({ decontaminate }) => decontaminate?.against.map(({ name }) => name) ?? []),
  };
}

/** The input of the preparation, or what it waits for. */
export function prepareInput(
  dataset: Dataset,
  datasets: ReadonlyMap<string, Dataset>,
  suites: ReadonlyMap<string, EvalSuite>,
  fetched?: readonly FetchedSource[],
): { input: PrepareInput; revision: string } | { missing: Missing } {
  const { spec } = dataset;
  const names = referencesOf(spec);
  const artifacts: Record<string, string> = {};
  const revisions: Record<string, string> = {};
  for (const ref of names.datasets) {
    const key = sharedKey(ref);
    const found = sharedObject("Dataset", ref, dataset.metadata.namespace ?? "", datasets.get(key));
    if ("missing" in found) return found;
    const { artifact, revision } = found.object.status ?? {};
    if (!isReady(found.object) || !artifact || !revision)
      return { missing: { reason: "DatasetNotReady", message: `Dataset ${key} is not Ready` } };
    artifacts[key] = artifact.digest;
    revisions[key] = revision;
  }
  const cases: Record<string, EvalSuite["spec"]["cases"]> = {};
  for (const name of names.suites) {
    const suite = suites.get(name);
    if (!suite) return { missing: { reason: "EvalSuiteNotFound", message: `there is no EvalSuite ${name}` } };
    cases[name] = suite.spec.cases;
  }
  const revision = revisionOf(dataset as never, (edge) => revisions[sharedKey(edge)]);
  if (!revision)
    return {
      missing: {
        reason: "Unresolved",
        message: "a file of a source has no digest: only a Repository sets it",
      },
    };
  const { name } = dataset.metadata;
  const input = { name, spec: behaving(spec), artifacts, suites: cases, ...(fetched ? { fetched } : {}) };
  return { input, revision };
}

/** Without what does not change the result, so that pausing a Dataset prepares nothing anew. */
function behaving({
  suspend: _,
  refresh: __,
  shareWith: ____,
  pod: _____,
  ...spec
}: DatasetSpec): DatasetSpec {
  return {
    ...spec,
    sources: spec.sources.map(({ secretRef: ___, region: ____, ...source }) => source),
  } as DatasetSpec;
}

function isReady({ status, metadata }: Dataset): boolean {
  if (status?.observedGeneration !== metadata.generation) return false;
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
}

/** A failure that may pass is tried again after this. */
const RETRY_MS = 60_000;

/** What was published stays in the status until something else is: dependents go on with it. */
export function decide(observed: ObservedDataset, now: Date): Decision<DatasetStatus> {
  const { dataset, serviceAccountName, fetch, cycle } = observed;
  if (cycle) {
    const message = cycleMessage(dataset.metadata.name, cycle);
    const status = { ...published(dataset), conditions: stalled("DatasetCycle", message) };
    return { children: [], effects: [], status, events: [warning("DatasetCycle", message)] };
  }
  if (outsideSources(dataset).length === 0) return decidePreparation(observed, undefined, now);
  const { resolved, effects, requeueAfterMs } = decideResolution(dataset, serviceAccountName, fetch, now);
  const again = requeueAfterMs === undefined ? {} : { requeueAfterMs };
  if (!("output" in resolved)) {
    const failure = "failure" in resolved ? resolved.failure : undefined;
    const conditions = failure
      ? (failure.retryable ? reconciling : stalled)(failure.code, failure.message)
      : reconciling("ResolvingSources", "the urls of the sources are read");
    const events = failure ? [warning(failure.code, failure.message)] : [];
    return {
      children: [],
      effects: [...effects],
      status: { ...published(dataset), conditions },
      events,
      ...again,
    };
  }
  const decision = decidePreparation(observed, resolved.output.sources, now);
  const { failure } = resolved;
  const fresh = failure
    ? condition("SourcesResolved", "False", failure.code, failure.message)
    : condition("SourcesResolved", "True", "Resolved", "what the urls hold was read");
  const waits = [requeueAfterMs, decision.requeueAfterMs].filter((wait) => wait !== undefined);
  return {
    ...decision,
    effects: [...effects, ...decision.effects],
    status: {
      ...decision.status,
      resolution: resolved.resolution,
      conditions: [...(decision.status.conditions ?? []), fresh],
    },
    ...(waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : {}),
  };
}

const warning = (reason: string, note: string) => ({ type: "Warning" as const, reason, note });

function decidePreparation(
  { dataset, datasets, suites, preparation: outcomeOf, work }: ObservedDataset,
  fetched: readonly FetchedSource[] | undefined,
  now: Date,
): Decision<DatasetStatus> {
  const before = published(dataset);
  const prepared = prepareInput(dataset, datasets, suites, fetched);
  if ("missing" in prepared) {
    const { reason, message } = prepared.missing;
    return { children: [], effects: [], status: { ...before, conditions: reconciling(reason, message) } };
  }
  const { input, revision } = prepared;
  const effect: EffectRequest = {
    name: "prepare",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt: 1,
    durable: true,
  };
  const base = { ...before, ...revisionFields(revision) };
  const preparation = outcomeOf(effect.inputDigest);
  if (work && !preparation && bytesOf(input, datasets) > work.above)
    return decideInPod(dataset, input, effect.inputDigest, work, { base, revision }, now);
  if (!preparation || preparation.state === "Running") {
    const attempt = preparation?.attempt ?? 1;
    const progress = progressOf(preparation);
    const far = progress ? `: ${progress.phase}, ${progress.percent} %` : "";
    const status = {
      ...base,
      ...(progress ? { progress } : {}),
      conditions: reconciling("Preparing", `the rows are read and prepared${far}`),
    };
    return { children: [], effects: [{ ...effect, attempt }], status };
  }
  if (preparation.state === "Failed") {
    const { code, message, retryable } = preparation.error ?? {
      code: "PrepareFailed",
      message: "",
      retryable: true,
    };
    const waitMs = (preparation.finishedAt ?? 0) + RETRY_MS - now.getTime();
    const again = retryable && waitMs <= 0;
    return {
      children: [],
      // What has ended is asked for again, so that its outcome is kept.
      effects: [
        again ? { ...effect, attempt: preparation.attempt + 1 } : { ...effect, attempt: preparation.attempt },
      ],
      status: { ...base, conditions: retryable ? reconciling(code, message) : stalled(code, message) },
      events: [warning(code, message)],
      ...(retryable && !again ? { requeueAfterMs: waitMs } : {}),
    };
  }
  return settled(base, revision, preparation.output as unknown as PrepareOutput, [
    { ...effect, attempt: preparation.attempt },
  ]);
}

/** What is large is prepared in a pod: its memory and disk are its own, and the queue is not held up. */
function decideInPod(
  dataset: Dataset,
  input: PrepareInput,
  inputDigest: string,
  observed: ObservedWork,
  { base, revision }: { readonly base: DatasetStatus; readonly revision: string },
  now: Date,
): Decision<DatasetStatus> {
  const asked = requestedAt(dataset as unknown as KubeObject);
  const anew = asked !== undefined && asked !== dataset.status?.lastHandledRequestedAt;
  const job = decideJob(dataset, input, inputDigest, observed, anew, now);
  const { children, keep = [], effects, work } = job;
  if ("output" in job) {
    const decision = settled(base, revision, job.output, effects);
    return { ...decision, keep, status: { ...decision.status, work } };
  }
  if ("failure" in job) {
    const { reason, message } = job.failure;
    const status = { ...base, work, conditions: stalled(reason, message) };
    return {
      children,
      keep,
      effects,
      status,
      events: job.first ? [warning(reason, message.slice(0, 1000))] : [],
    };
  }
  const { conditions, progress, requeueAfterMs } = job;
  return {
    children,
    keep,
    effects,
    status: { ...base, work, ...(progress ? { progress } : {}), conditions: [...conditions] },
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  };
}

function settled(
  before: DatasetStatus,
  revision: string,
  output: PrepareOutput,
  effects: readonly EffectRequest[],
): Decision<DatasetStatus> {
  const { artifact, fault, read, splits, steps, piiRows, words } = output;
  if (fault) {
    const message = `${fault.gate}: ${fault.message}`;
    return {
      children: [],
      effects,
      status: {
        ...before,
        conditions: [
          ...stalled("GateFailed", message),
          condition("GatesPassed", "False", "GateFailed", message),
        ],
      },
      events: [warning("GateFailed", message)],
    };
  }
  const rows = artifact?.rows ?? 0;
  return {
    children: [],
    effects,
    status: {
      ...revisionFields(revision),
      ...(artifact ? { artifact: { ...artifact, revision } } : {}),
      splits: [...splits],
      read,
      steps: steps.map(({ name, dropped, changed }) => ({ name, dropped, changed })),
      piiRows,
      words,
      conditions: [
        ...ready("Prepared", `${rows} of ${read} rows`),
        condition("GatesPassed", "True", "GatesPassed", "every gate holds"),
      ],
    },
    ...(before.artifact?.digest === artifact?.digest
      ? {}
      : {
          events: [
            { type: "Normal" as const, reason: "Published", note: `${rows} rows as ${artifact?.digest}` },
          ],
        }),
  };
}

/** The fields that speak of what is published. */
function published({ status }: Dataset): DatasetStatus {
  const { artifact, splits, read, steps, piiRows, words, revision, shortRevision, resolution } = status ?? {};
  return JSON.parse(
    JSON.stringify({ revision, shortRevision, artifact, splits, read, steps, piiRows, words, resolution }),
  ) as DatasetStatus;
}
