import type { Json } from "../graph/canonical.ts";

/** One attempt at one effect: written before it starts, completed after. */
export interface Intent {
  readonly id: number;
  /** `Kind/namespace/name`, or any stable name of what the effect belongs to. */
  readonly object: string;
  readonly effect: string;
  readonly inputDigest: string;
  readonly attempt: number;
  readonly input: Json;
  readonly startedAt: number;
  readonly finishedAt?: number;
  readonly output?: Json;
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean };
}

/** The error code of an intent that nobody wants any more. */
export const CANCELLED = "Cancelled";

export interface IntentLog {
  /**
   * Survives a killed process when it returns. One with the same object, effect, digest and attempt is
   * returned instead of written again: `finishedAt` tells whether there is still something to do. One that
   * ended as `Cancelled` has no outcome: it is opened again.
   */
  begin(intent: Pick<Intent, "object" | "effect" | "inputDigest" | "attempt" | "input">): Promise<Intent>;
  finish(id: number, outcome: { output: Json } | { error: NonNullable<Intent["error"]> }): Promise<void>;
  /** The attempt with the greatest number, of those that were not cancelled. */
  latest(object: string, effect: string, inputDigest: string): Intent | undefined;
  /** Of one object, or of all. */
  unfinished(object?: string): Intent[];
  /** Every object that has an intent. */
  objects(): string[];
  /** Forgets everything of an object that is gone; outcomes that arrive later are dropped. */
  forget(object: string): Promise<void>;
}

/** Large content, named by its SHA-256 (`sha256:…`). */
export interface BlobStore {
  put(data: Uint8Array | string): Promise<string>;
  /** @throws SlipwayError BlobNotFound, BlobCorrupt */
  get(digest: string): Promise<Uint8Array>;
  has(digest: string): Promise<boolean>;
}

/** Answers of models and verdicts of graders, kept per tenant. */
export interface ResultCache {
  /** @param maxAgeMs answers older than this are not returned (for hosted aliases that move) */
  get(tenant: string, bucket: "generation" | "grade", key: string, maxAgeMs?: number): Json | undefined;
  put(tenant: string, bucket: "generation" | "grade", key: string, value: Json): Promise<void>;
}

/** What was left in the cluster when an object was applied last. */
export interface AppliedRecord {
  readonly uid: string;
  readonly specDigest: string;
  /** Hash of our managedFields entry. */
  readonly fieldsHash: string;
}

export interface AppliedStore {
  /** @param id `namespace/name/group/kind` */
  get(id: string): AppliedRecord | undefined;
  set(id: string, record: AppliedRecord): Promise<void>;
  delete(id: string): Promise<void>;
}

export interface StateStore {
  readonly intents: IntentLog;
  readonly blobs: BlobStore;
  readonly results: ResultCache;
  readonly applied: AppliedStore;
  close(): Promise<void>;
}
