import type { Readable } from "node:stream";
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
  /** Of all inputs, the one that ended well last. */
  lastSucceeded(object: string, effect: string): Intent | undefined;
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
  /**
   * Stores what does not fit into memory.
   * @throws SlipwayError BlobTooLarge beyond maxBytes; whatever the source throws. Nothing is kept then.
   */
  putStream(data: AsyncIterable<Uint8Array>, maxBytes?: number): Promise<{ digest: string; bytes: number }>;
  /** @throws SlipwayError BlobNotFound, BlobCorrupt */
  get(digest: string): Promise<Uint8Array>;
  /**
   * Opens a blob for reading in pieces, from byte `start` on. They are not checked against the digest: the reader does that.
   * @throws SlipwayError BlobNotFound
   */
  open(digest: string, start?: number): Promise<{ bytes: number; stream: Readable }>;
  has(digest: string): Promise<boolean>;
  /**
   * The file that holds a blob, for threads that read it themselves. It is not checked against the digest: the reader
   * does that.
   * @throws SlipwayError BlobNotFound
   */
  locate(digest: string): Promise<string>;
  /**
   * Reads a blob that somebody found to be something else, without holding it in memory, and sets it aside if it is.
   * One that is not there is no error.
   * @throws SlipwayError BlobCorrupt
   */
  check(digest: string): Promise<void>;
  /** A new folder on the store's disk, for what becomes blobs. What a dead process left of it goes when the store is opened. */
  scratch(): Promise<string>;
  /**
   * Takes over a file of {@link scratch}: it becomes the blob of the digest that was taken while it was written.
   * @throws SlipwayError BlobNotFound for what is no digest
   */
  adopt(file: string, digest: string): Promise<void>;
}

/** What a pod says of its work. */
export interface WorkReport {
  readonly state: "Running" | "Succeeded" | "Failed";
  readonly progress?: Json;
  readonly result?: Json;
  readonly error?: { readonly code: string; readonly message: string };
  /** Milliseconds since the epoch. */
  readonly reportedAt: number;
}

/** The latest report of each piece of work, and what it has stored. */
export interface ReportStore {
  /**
   * Survives a killed process when it returns. Succeeded is the last word: a straggler's report after it is dropped.
   * @param object `Kind/namespace/name/uid`
   * @param input digest of what the work is made from
   */
  put(object: string, input: string, report: WorkReport): Promise<void>;
  latest(object: string, input: string): WorkReport | undefined;
  /**
   * Notes that this object has stored this blob, by a pod or from a source or a Repository: it had the bytes, so what
   * belongs to it may read them.
   */
  addUpload(object: string, digest: string): Promise<void>;
  hasUpload(object: string, digest: string): boolean;
  /** Whether any object of the kind in the namespace, which is not forgotten, has stored this blob. */
  hasUploadIn(kind: string, namespace: string, digest: string): boolean;
  /** Every object that has a report or an upload. */
  objects(): string[];
  /** Forgets everything of an object that is gone. */
  forget(object: string): Promise<void>;
}

/** Answers of models, verdicts of graders, and comparisons of Datasets. */
export type ResultBucket = "generation" | "grade" | "data-diff";

/** What was paid for or took long, kept per tenant. */
export interface ResultCache {
  /** @param maxAgeMs answers older than this are not returned (for hosted aliases that move) */
  get(tenant: string, bucket: ResultBucket, key: string, maxAgeMs?: number): Json | undefined;
  put(tenant: string, bucket: ResultBucket, key: string, value: Json): Promise<void>;
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
  readonly reports: ReportStore;
  close(): Promise<void>;
}
