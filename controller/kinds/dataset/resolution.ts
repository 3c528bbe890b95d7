import { durationMs } from "../../../schemas/common.ts";
import type { Dataset, DatasetResolution, DatasetSource } from "../../../schemas/dataset.ts";
import { blobDigest, canonicalJson, digestOf, type Json } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";

/** A source outside of the Repository, as the spec has it. */
export type OutsideSource = Pick<DatasetSource, "name" | "digest" | "endpoint" | "region" | "secretRef"> & {
  readonly url: string;
};

export interface FetchInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly sources: readonly OutsideSource[];
}

/** One source as it was read: its files lie in the blob store. */
export interface FetchedSource {
  readonly name: string;
  readonly resolved: string;
  readonly files: readonly { readonly path: string; readonly digest: string; readonly bytes: number }[];
}

export interface FetchOutput {
  readonly sources: readonly FetchedSource[];
}

/** What the caches know of the urls: of the round that the status speaks of, and of the next. */
export interface ObservedFetch {
  readonly current: EffectOutcome | undefined;
  readonly next: EffectOutcome | undefined;
}

export function outsideSources({ spec }: Dataset): OutsideSource[] {
  return spec.sources.flatMap(({ name, url, digest, endpoint, region, secretRef }) =>
    url === undefined
      ? []
      : [JSON.parse(JSON.stringify({ name, url, digest, endpoint, region, secretRef })) as OutsideSource],
  );
}

/** The round that the status speaks of. */
export const roundOf = ({ status }: Dataset): number => status?.resolution?.round ?? 0;

/**
 * Stands for one look at the urls. Another generation, request or round is another look, so that nothing that moved
 * is taken for what it was.
 */
export function fetchDigest(dataset: Dataset, round: number): string {
  const asked = requestedAt(dataset as unknown as KubeObject);
  return digestOf({
    sources: outsideSources(dataset),
    generation: dataset.metadata.generation ?? 0,
    ...(asked === undefined ? {} : { asked }),
    round,
  });
}

export type Resolved =
  /** What to prepare, and what the status says of it. */
  | { readonly output: FetchOutput; readonly resolution: DatasetResolution; readonly failure?: Failure }
  | { readonly waiting: true }
  | { readonly failure: Failure };

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface ResolutionDecision {
  readonly resolved: Resolved;
  readonly effects: readonly EffectRequest[];
  readonly requeueAfterMs?: number;
}

/** A failure that may pass is tried again after this. */
const RETRY_MS = 60_000;

/**
 * Which look at the urls counts, and whether it is time for another. While a later look runs or fails, the one before
 * stands: a source that is away for a while takes nothing from those who have its rows.
 */
export function decideResolution(
  dataset: Dataset,
  serviceAccountName: string,
  { current, next }: ObservedFetch,
  now: Date,
): ResolutionDecision {
  const round = roundOf(dataset);
  const { namespace = "" } = dataset.metadata;
  const input: FetchInput = { namespace, serviceAccountName, sources: outsideSources(dataset) };
  const look = (
    of: number,
    outcome: EffectOutcome | undefined,
    attempt = outcome?.attempt ?? 1,
  ): EffectRequest => ({
    name: "fetch",
    inputDigest: fetchDigest(dataset, of),
    input: input as unknown as Json,
    attempt,
    durable: true,
  });
  if (next?.state === "Succeeded") {
    return within(
      dataset,
      { resolved: resolved(next, round + 1), effects: [look(round + 1, next)] },
      next,
      now,
    );
  }
  if (current?.state !== "Succeeded") return first(look, round, current, now);
  const settled = resolved(current, round);
  if (next?.state === "Running") return { resolved: settled, effects: [look(round + 1, next)] };
  if (next?.state === "Failed") {
    const again = retry(next, now);
    const request = look(round + 1, next, next.attempt + (again.due ? 1 : 0));
    const resolvedAs = { ...settled, failure: failureOf(next) };
    return {
      resolved: resolvedAs,
      effects: [request],
      ...(again.due ? {} : { requeueAfterMs: again.waitMs }),
    };
  }
  const due = within(dataset, { resolved: settled, effects: [look(round, current)] }, current, now);
  return due.requeueAfterMs === 0 ? { resolved: settled, effects: [look(round + 1, undefined)] } : due;
}

function first(
  look: (of: number, outcome: EffectOutcome | undefined, attempt?: number) => EffectRequest,
  round: number,
  current: EffectOutcome | undefined,
  now: Date,
): ResolutionDecision {
  if (current?.state !== "Failed") return { resolved: { waiting: true }, effects: [look(round, current)] };
  const failure = failureOf(current);
  // Someone has to mend it: asked again when the spec or the annotation changes.
  if (!failure.retryable) return { resolved: { failure }, effects: [look(round, current)] };
  const again = retry(current, now);
  const request = look(round, current, current.attempt + (again.due ? 1 : 0));
  return {
    resolved: { failure },
    effects: [request],
    ...(again.due ? {} : { requeueAfterMs: again.waitMs }),
  };
}

/** With the wait until `refresh` asks for the next look; 0 when it is time. */
function within(
  { spec }: Dataset,
  decision: ResolutionDecision,
  outcome: EffectOutcome,
  now: Date,
): ResolutionDecision {
  if (spec.refresh === undefined) return decision;
  const waitMs = (outcome.finishedAt ?? 0) + durationMs(spec.refresh) - now.getTime();
  return { ...decision, requeueAfterMs: Math.max(0, waitMs) };
}

function retry(outcome: EffectOutcome, now: Date): { due: boolean; waitMs: number } {
  const waitMs = (outcome.finishedAt ?? 0) + RETRY_MS - now.getTime();
  return { due: waitMs <= 0, waitMs };
}

function failureOf({ error }: EffectOutcome): Failure {
  return error ?? { code: "SourceUnavailable", message: "", retryable: true };
}

function resolved(
  outcome: EffectOutcome,
  round: number,
): { output: FetchOutput; resolution: DatasetResolution } {
  const output = outcome.output as unknown as FetchOutput;
  return {
    output,
    resolution: {
      round,
      at: new Date(outcome.finishedAt ?? 0).toISOString(),
      sources: output.sources.map(({ name, resolved: as, files }) => ({
        name,
        resolved: as,
        digest: blobDigest(canonicalJson(files.map(({ path, digest }) => ({ path, digest })))),
        files: files.length,
        bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      })),
    },
  };
}
