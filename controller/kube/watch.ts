import type { Logger } from "../log.ts";
import { accept, named } from "./calls.ts";
import type { KubeClient } from "./client.ts";
import { sleep } from "./deadline.ts";
import { KubeError } from "./kube-error.ts";
import { type KubeObject, keyOf, type ResourceType, resourcePath } from "./resources.ts";
import {
  initialWatchState,
  stepWatch,
  type WatchAction,
  type WatchEvent,
  type WatchInput,
  type WatchState,
} from "./watch-machine.ts";

export type { WatchEvent } from "./watch-machine.ts";

export interface WatchOptions<T extends KubeObject> {
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Only `metadata`: what is watched to be noticed, not read. */
  readonly metadataOnly?: boolean;
  readonly signal: AbortSignal;
  /** Called in order and never twice at a time. What it throws is logged; the watch goes on. */
  readonly onEvent: (event: WatchEvent<T>) => void;
  readonly log: Logger;
  /**
   * A watch that says nothing for this long is opened again where it stood. The API server sends a
   * bookmark every 60 to 75 s, so silence means a connection that is half open. 90 s unless given.
   */
  readonly silenceMs?: number;
}

/** A server that does not end the watch when it said it would is not waited for longer than this. */
const OVERTIME_MS = 5_000;

/**
 * Lists and watches until the signal aborts, and then resolves; no error ends it before.
 * Every object is reported by at least one `applied`, every one that goes by exactly one `deleted`.
 */
export async function watchResource<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: WatchOptions<T>,
): Promise<void> {
  const { signal, onEvent } = options;
  const log = options.log.child({ watch: type.plural });
  const known = new Map<string, T>();
  const context = { known, random: Math.random };
  let state: WatchState<T> = initialWatchState();
  let input: WatchInput<T> = { type: "go" };
  const driver = new Driver<T>(client, type, options);
  try {
    while (!signal.aborted) {
      const step = stepWatch(state, input, context);
      for (const stepped of step.events) {
        const event = options.metadataOnly ? withTypeName(type, stepped) : stepped;
        if (event.type === "applied") known.set(keyOf(event.object), event.object);
        else if (event.type === "deleted") known.delete(keyOf(event.object));
        try {
          onEvent(event);
        } catch (err) {
          log.error({ err, event: event.type }, "a watch handler failed");
        }
      }
      if (step.action.type === "wait" && step.action.ms > 0) {
        const level = step.state.failures > 3 ? "warn" : "debug";
        log[level](
          { why: step.action.why, ms: step.action.ms, failures: step.state.failures },
          "the watch waits",
        );
      }
      state = step.state;
      input = await driver.perform(step.action);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    driver.close();
  }
}

/** A metadata-only object calls itself PartialObjectMetadata; its readers want to know what it is part of. */
function withTypeName<T extends KubeObject>(type: ResourceType, event: WatchEvent<T>): WatchEvent<T> {
  return event.type === "synced" ? event : { ...event, object: named(type, event.object) };
}

/** Performs the machine's actions: everything with a socket or a clock. */
class Driver<T extends KubeObject> {
  readonly #client: KubeClient;
  readonly #type: ResourceType;
  readonly #options: WatchOptions<T>;
  #open:
    | {
        body: { destroy(): void };
        chunks: AsyncIterator<Uint8Array>;
        decoder: InstanceType<typeof TextDecoder>;
        since: number;
        until: number;
      }
    | undefined;

  constructor(client: KubeClient, type: ResourceType, options: WatchOptions<T>) {
    this.#client = client;
    this.#type = type;
    this.#options = options;
  }

  async perform(action: WatchAction): Promise<WatchInput<T>> {
    if (action.type !== "read") this.close();
    try {
      switch (action.type) {
        case "wait":
          await sleep(action.ms, this.#options.signal);
          return { type: "go" };
        case "list":
          return await this.#list(action);
        case "watch":
          return await this.#watch(action);
        case "read":
          return await this.#read();
      }
    } catch (error) {
      if (this.#options.signal.aborted) throw error;
      if (error instanceof KubeError) {
        return {
          type: "failed",
          status: error.status,
          message: error.message,
          retryAfterMs: error.retryAfterMs,
        };
      }
      // Credentials that cannot be read now may be readable later.
      return { type: "failed", status: 0, message: error instanceof Error ? error.message : String(error) };
    }
  }

  close(): void {
    this.#open?.body.destroy();
    this.#open = undefined;
  }

  async #list(action: WatchAction & { type: "list" }): Promise<WatchInput<T>> {
    const { signal } = this.#options;
    const page = await this.#client.list<T>(this.#type, {
      ...this.#selection(),
      ...(action.limit === undefined ? {} : { limit: action.limit }),
      ...(action.continue === undefined ? {} : { continue: action.continue }),
      metadataOnly: this.#options.metadataOnly ?? false,
      retry: false,
      signal,
      timeoutMs: 60_000,
    });
    return {
      type: "page",
      items: page.items,
      resourceVersion: page.resourceVersion,
      continue: page.continue,
    };
  }

  async #watch(action: WatchAction & { type: "watch" }): Promise<WatchInput<T>> {
    const { namespace, labelSelector } = this.#selection();
    const body = await this.#client.stream(resourcePath(this.#type, namespace), {
      verb: "watch",
      kind: this.#type.kind,
      query: {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: action.resourceVersion,
        timeoutSeconds: action.timeoutSeconds,
        labelSelector,
      },
      ...accept("PartialObjectMetadata", this.#options.metadataOnly),
      signal: this.#options.signal,
    });
    const since = performance.now();
    this.#open = {
      body,
      chunks: body[Symbol.asyncIterator](),
      decoder: new TextDecoder(),
      since,
      until: since + action.timeoutSeconds * 1000 + OVERTIME_MS,
    };
    return { type: "opened" };
  }

  async #read(): Promise<WatchInput<T>> {
    const open = this.#open;
    if (!open) throw new Error("watch: read before it was opened");
    const patience = Math.min(this.#options.silenceMs ?? 90_000, open.until - performance.now());
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<"silent">((resolve) => {
      timer = setTimeout(resolve, Math.max(0, patience), "silent");
    });
    try {
      const next = open.chunks.next();
      // When silence wins, closing the stream makes this reject with nobody waiting.
      next.catch(() => {});
      const result = await Promise.race([next, silence]);
      if (result === "silent") return { type: "silent" };
      if (result.done) return { type: "closed", lastedMs: performance.now() - open.since };
      return { type: "chunk", text: open.decoder.decode(result.value, { stream: true }) };
    } catch (error) {
      if (this.#options.signal.aborted) throw error;
      return { type: "failed", status: 0, message: `the watch broke off: ${(error as Error).message}` };
    } finally {
      clearTimeout(timer);
    }
  }

  #selection(): { namespace?: string; labelSelector?: string } {
    const { namespace, labelSelector } = this.#options;
    return { ...(namespace ? { namespace } : {}), ...(labelSelector ? { labelSelector } : {}) };
  }
}
