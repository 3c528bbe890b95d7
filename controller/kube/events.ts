import { createHash, randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "../log.ts";
import type { KubeClient } from "./client.ts";
import { isNotFound } from "./kube-error.ts";
import { microTime } from "./lease-record.ts";
import { apiVersionOf, Event, type KubeObject } from "./resources.ts";

export interface EventInput {
  readonly type: "Normal" | "Warning";
  /** CamelCase, as in conditions. */
  readonly reason: string;
  /** What happened, for a person; cut to 1 KiB. Never holds a secret. */
  readonly note: string;
  /** What the controller was doing; the reason unless given. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly log: Logger;
  /** Which replica reports; the host name, which is the pod's, unless given. */
  readonly instance?: string;
  /** Equal events within this time are one event with a series: 10 minutes. */
  readonly windowMs?: number;
  /** A series is written at most this often: every 10 s. */
  readonly seriesIntervalMs?: number;
  /** Requests per second, over all objects: 20. */
  readonly ratePerSecond?: number;
}

const CONTROLLER = "slipway.dev/controller";
/** Events remembered or waiting (client-go's cache size); when all wait, more are dropped. */
const MAX_ENTRIES = 4_096;
/** The API's limits. */
const MAX_NOTE_BYTES = 1_024;
const MAX_WORD = 128;

interface Entry {
  readonly regarding: KubeObject;
  readonly input: EventInput;
  readonly name: string;
  readonly firstAt: Date;
  lastAt: Date;
  count: number;
  written: number;
  /** Monotonic. */
  nextWriteAt: number;
}

/**
 * Writes events.k8s.io/v1 Events beside the reconcile: `record` returns at once and never throws, what
 * fails is logged. Repetitions become a series instead of new objects.
 */
export class EventRecorder {
  readonly #options: Required<EventRecorderOptions>;
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #dropped = 0;
  #closed = false;

  constructor(options: EventRecorderOptions) {
    this.#options = {
      instance: hostname(),
      windowMs: 600_000,
      seriesIntervalMs: 10_000,
      ratePerSecond: 20,
      ...options,
    };
  }

  record(regarding: KubeObject, input: EventInput): void {
    if (this.#closed) return;
    const key = keyOfEvent(regarding, input);
    const now = new Date();
    let entry = this.#entries.get(key);
    if (entry && now.getTime() - entry.firstAt.getTime() < this.#options.windowMs) {
      entry.count++;
      entry.lastAt = now;
    } else {
      if (!this.#makeRoom(now)) {
        if (this.#dropped++ % 100 === 0)
          this.#options.log.warn({ dropped: this.#dropped }, "too many events; dropping");
        return;
      }
      const name = eventName(regarding.metadata.name);
      entry = {
        regarding: reference(regarding),
        input,
        name,
        firstAt: now,
        lastAt: now,
        count: 1,
        written: 0,
        nextWriteAt: 0,
      };
      this.#entries.set(key, entry);
    }
    this.#schedule();
  }

  /** Writes what waits, without heeding the intervals, and resolves when done. Records nothing any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
    for (const entry of this.#entries.values()) {
      if (entry.written < entry.count) await this.#write(entry, 2_000);
    }
    this.#entries.clear();
  }

  /** Sets the timer for the first entry that is due, unless a write is under way, which does it after. */
  #schedule(): void {
    if (this.#busy || this.#closed) return;
    clearTimeout(this.#timer);
    let next: Entry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.written < entry.count && (!next || entry.nextWriteAt < next.nextWriteAt)) next = entry;
    }
    if (!next) return;
    const due = next;
    this.#timer = setTimeout(
      () => {
        this.#busy = true;
        // One write at a time, and a pause after each: that is the rate limit.
        this.#writing = this.#write(due, 10_000)
          .then(
            () => new Promise<void>((resolve) => setTimeout(resolve, 1_000 / this.#options.ratePerSecond)),
          )
          .finally(() => {
            this.#busy = false;
            this.#schedule();
          });
      },
      Math.max(0, due.nextWriteAt - performance.now()),
    );
    this.#timer.unref();
  }

  async #write(entry: Entry, timeoutMs: number): Promise<void> {
    const { client, log, seriesIntervalMs } = this.#options;
    const namespace = entry.regarding.metadata.namespace ?? "default";
    // Taken before the request: what is counted during it is written next time.
    const count = entry.count;
    const series = count > 1 ? { count, lastObservedTime: microTime(entry.lastAt) } : undefined;
    const create = () => client.create(Event, this.#event(entry, namespace, series), { timeoutMs });
    try {
      if (entry.written === 0) await create();
      else {
        const options = { contentType: "application/merge-patch+json", timeoutMs } as const;
        // Events expire on the server; a series that goes on then gets a new object.
        await client.patch(Event, namespace, entry.name, { series }, options).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
          return create();
        });
      }
    } catch (err) {
      log.warn(
        { err, reason: entry.input.reason, regarding: entry.regarding.metadata.name },
        "cannot write an event",
      );
    }
    // Also after a failure: an event is not worth an endless retry.
    entry.written = count;
    entry.nextWriteAt = performance.now() + seriesIntervalMs;
  }

  #event(entry: Entry, namespace: string, series: object | undefined): KubeObject {
    const { apiVersion, kind, metadata } = entry.regarding;
    const { name, uid, resourceVersion } = metadata;
    return {
      apiVersion: apiVersionOf(Event),
      kind: Event.kind,
      metadata: { name: entry.name, namespace },
      eventTime: microTime(entry.firstAt),
      reportingController: CONTROLLER,
      reportingInstance: this.#options.instance.slice(0, MAX_WORD),
      action: (entry.input.action ?? entry.input.reason).slice(0, MAX_WORD),
      reason: entry.input.reason.slice(0, MAX_WORD),
      note: cut(entry.input.note),
      type: entry.input.type,
      regarding: { apiVersion, kind, name, uid, resourceVersion, namespace: metadata.namespace },
      ...(series ? { series } : {}),
    };
  }

  /** Forgets what is written and old, or else the oldest that is written; false when all still wait. */
  #makeRoom(now: Date): boolean {
    if (this.#entries.size < MAX_ENTRIES) return true;
    let oldest: string | undefined;
    for (const [key, entry] of this.#entries) {
      if (entry.written < entry.count) continue;
      oldest ??= key;
      if (now.getTime() - entry.firstAt.getTime() >= this.#options.windowMs) this.#entries.delete(key);
    }
    if (this.#entries.size < MAX_ENTRIES) return true;
    return oldest !== undefined && this.#entries.delete(oldest);
  }
}

function keyOfEvent(regarding: KubeObject, input: EventInput): string {
  const { namespace, name, uid } = regarding.metadata;
  const parts = [regarding.kind, namespace, name, uid, input.type, input.reason, input.note];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64");
}

/** As client-go names them: the object's name and something unique. */
function eventName(name: string): string {
  return `${name.slice(0, 230)}.${randomBytes(8).toString("hex")}`;
}

/** What is needed of the object, so that a waiting event does not keep it in memory. */
function reference({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
    },
  };
}

/** At most 1 KiB of UTF-8, not ending inside a character. */
function cut(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE_BYTES) return note;
  let end = MAX_NOTE_BYTES - 3;
  const bytes = Buffer.from(note);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString("utf8", 0, end)}…`;
}
