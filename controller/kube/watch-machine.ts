import { backoffMs } from "./backoff.ts";
import { type KubeObject, keyOf } from "./resources.ts";

/*
 * List and watch as a state machine without I/O, in the shape of kube-rs' watcher: the driver performs
 * the action, and what came of it is the next input.
 *
 *   Empty ──list──▶ Listing ──last page──▶ Listed ──watch──▶ Watching ─┐
 *     ▲                │ 410                  ▲                 │       │ read
 *     └────────────────┴───── 410, odd error ─┼─────────────────┤ ◀─────┘
 *                                             └─ closed, silent, 429, 5xx, broken line
 */

export type WatchState<T extends KubeObject = KubeObject> =
  /** Nothing known about the server's state: a list is next. */
  | { readonly phase: "Empty"; readonly failures: number; readonly unpaged: boolean }
  /** Some pages read; what is known but not in `seen` at the end has vanished. */
  | {
      readonly phase: "Listing";
      readonly failures: number;
      readonly unpaged: boolean;
      readonly seen: readonly T[][];
    }
  /** Complete up to `resourceVersion`: a watch from there is next. */
  | { readonly phase: "Listed"; readonly failures: number; readonly resourceVersion: string }
  | {
      readonly phase: "Watching";
      readonly failures: number;
      readonly resourceVersion: string;
      /** The start of a line whose end has not arrived. */
      readonly partial: string;
    };

export type WatchInput<T extends KubeObject = KubeObject> =
  /** Begin, or go on after a wait. */
  | { readonly type: "go" }
  | {
      readonly type: "page";
      readonly items: T[];
      readonly resourceVersion: string;
      readonly continue?: string | undefined;
    }
  | { readonly type: "opened" }
  | { readonly type: "chunk"; readonly text: string }
  /** The server ended the watch; `lastedMs` since it opened. */
  | { readonly type: "closed"; readonly lastedMs: number }
  /** Nothing arrived for longer than bookmarks take: the connection may be half open. */
  | { readonly type: "silent" }
  /** A list or the opening of a watch failed, or the connection broke; `status` 0 for the network. */
  | {
      readonly type: "failed";
      readonly status: number;
      readonly message: string;
      readonly retryAfterMs?: number | undefined;
    };

export type WatchAction =
  | { readonly type: "list"; readonly limit: number | undefined; readonly continue: string | undefined }
  | { readonly type: "watch"; readonly resourceVersion: string; readonly timeoutSeconds: number }
  | { readonly type: "read" }
  | { readonly type: "wait"; readonly ms: number; readonly why: string };

export type WatchEvent<T extends KubeObject = KubeObject> =
  /** The object is now so: added, changed, or seen again by a list. */
  | { readonly type: "applied"; readonly object: T }
  /** The object is gone; its last known state. */
  | { readonly type: "deleted"; readonly object: T }
  /** A list is complete: what is not known now does not exist at this resource version. */
  | { readonly type: "synced"; readonly resourceVersion: string };

export interface WatchContext<T extends KubeObject = KubeObject> {
  /** What the events so far amount to, by key. */
  readonly known: ReadonlyMap<string, T>;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface WatchStep<T extends KubeObject = KubeObject> {
  readonly state: WatchState<T>;
  readonly events: readonly WatchEvent<T>[];
  readonly action: WatchAction;
}

/** client-go's page size for lists that are not served from the cache. */
const PAGE_SIZE = 500;
/** client-go's reflector: 0.8 s to 30 s, doubling. */
const BACKOFF_BASE_MS = 800;
const BACKOFF_MAX_MS = 30_000;
/** A watch that ends sooner, having said nothing, counts as a failure (client-go's very short watch). */
const SHORT_WATCH_MS = 1_000;

export function initialWatchState<T extends KubeObject>(): WatchState<T> {
  return { phase: "Empty", failures: 0, unpaged: false };
}

/** One transition; pure, `context` included. An input that does not fit the phase throws. */
export function stepWatch<T extends KubeObject>(
  state: WatchState<T>,
  input: WatchInput<T>,
  context: WatchContext<T>,
): WatchStep<T> {
  if (input.type === "go") return proceed(state, context);
  if (input.type === "failed") return fail(state, input, context);
  if (input.type === "page" && state.phase === "Listing") return page(state, input, context);
  if (state.phase === "Watching") {
    switch (input.type) {
      case "opened":
        return { state, events: [], action: { type: "read" } };
      case "chunk":
        return chunk(state, input.text, context);
      case "silent":
        return rewatch({ ...state, failures: 0 }, context);
      case "closed":
        if (input.lastedMs >= SHORT_WATCH_MS) return rewatch({ ...state, failures: 0 }, context);
        return fail(state, { type: "failed", status: 0, message: "the watch ended at once" }, context);
    }
  }
  throw new Error(`watch: input ${input.type} in phase ${state.phase}`);
}

/** What an idle phase does next; a busy one starts its request again. */
function proceed<T extends KubeObject>(state: WatchState<T>, context: WatchContext<T>): WatchStep<T> {
  if (state.phase === "Listed" || state.phase === "Watching") return rewatch(state, context);
  return {
    state: { phase: "Listing", failures: state.failures, unpaged: state.unpaged, seen: [] },
    events: [],
    action: { type: "list", limit: state.unpaged ? undefined : PAGE_SIZE, continue: undefined },
  };
}

function rewatch<T extends KubeObject>(
  from: { readonly failures: number; readonly resourceVersion: string },
  context: WatchContext<T>,
): WatchStep<T> {
  const { failures, resourceVersion } = from;
  // client-go's 5 to 10 minutes, spread so that reconnections do not come in waves.
  const timeoutSeconds = 300 + Math.floor(300 * context.random());
  return {
    state: { phase: "Watching", failures, resourceVersion, partial: "" },
    events: [],
    action: { type: "watch", resourceVersion, timeoutSeconds },
  };
}

function page<T extends KubeObject>(
  state: WatchState<T> & { phase: "Listing" },
  input: WatchInput<T> & { type: "page" },
  context: WatchContext<T>,
): WatchStep<T> {
  const events: WatchEvent<T>[] = [];
  for (const object of input.items) {
    const before = context.known.get(keyOf(object));
    // Deleted and made again while nobody looked: two objects, not one that changed.
    if (before && before.metadata.uid !== object.metadata.uid)
      events.push({ type: "deleted", object: before });
    events.push({ type: "applied", object });
  }
  const seen = [...state.seen, input.items];
  if (input.continue) {
    return {
      state: { ...state, seen },
      events,
      action: { type: "list", limit: PAGE_SIZE, continue: input.continue },
    };
  }
  const listed = new Set(seen.flat().map(keyOf));
  for (const [key, object] of context.known) {
    if (!listed.has(key)) events.push({ type: "deleted", object });
  }
  const { resourceVersion } = input;
  events.push({ type: "synced", resourceVersion });
  // The count of failures stays until a watch works: a list that succeeds before a watch that never
  // does must not become a tight loop of lists.
  const next = rewatch({ failures: state.failures, resourceVersion }, context);
  return { ...next, events };
}

function chunk<T extends KubeObject>(
  state: WatchState<T> & { phase: "Watching" },
  text: string,
  context: WatchContext<T>,
): WatchStep<T> {
  const lines = (state.partial + text).split("\n");
  const partial = lines.pop() ?? "";
  const events: WatchEvent<T>[] = [];
  let { resourceVersion, failures } = state;
  for (const line of lines) {
    if (line.trim() === "") continue;
    const message = parseLine<T>(line);
    if (message === undefined) {
      // A proxy cut or mixed the stream. What was read so far stands; go on from there.
      const at = { ...state, resourceVersion, failures };
      const next = fail(
        at,
        { type: "failed", status: 0, message: "the watch sent a line that is not an event" },
        context,
      );
      return { ...next, events: [...events, ...next.events] };
    }
    if (message.type === "ERROR") {
      const { code, message: said, details } = message.object as unknown as ErrorStatus;
      const seconds = details?.retryAfterSeconds;
      const failure = {
        type: "failed" as const,
        status: code ?? 500,
        message: said ?? "the watch reported an error",
        retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
      };
      const next = fail({ ...state, resourceVersion, failures }, failure, context);
      return { ...next, events: [...events, ...next.events] };
    }
    resourceVersion = message.object.metadata.resourceVersion ?? resourceVersion;
    failures = 0;
    if (message.type === "DELETED") events.push({ type: "deleted", object: message.object });
    else if (message.type !== "BOOKMARK") events.push({ type: "applied", object: message.object });
  }
  return {
    state: { phase: "Watching", failures, resourceVersion, partial },
    events,
    action: { type: "read" },
  };
}

interface ErrorStatus {
  code?: number;
  message?: string;
  details?: { retryAfterSeconds?: number };
}

function parseLine<T>(line: string): { type: string; object: T } | undefined {
  try {
    const value = JSON.parse(line) as { type?: unknown; object?: { metadata?: unknown } | null };
    const known = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"].includes(String(value?.type));
    if (!known || !value.object || (value.type !== "ERROR" && !value.object.metadata)) return undefined;
    return value as { type: string; object: T };
  } catch {
    return undefined;
  }
}

function fail<T extends KubeObject>(
  state: WatchState<T>,
  failure: WatchInput<T> & { type: "failed" },
  context: WatchContext<T>,
): WatchStep<T> {
  const failures = state.failures + 1;
  const expired = failure.status === 410;
  // The first 410 is the ordinary end of an old resource version: list again at once.
  const ms =
    expired && state.failures === 0
      ? 0
      : Math.max(
          failure.retryAfterMs ?? 0,
          backoffMs(state.failures, BACKOFF_BASE_MS, BACKOFF_MAX_MS, context.random()),
        );
  const action: WatchAction = { type: "wait", ms, why: failure.message };
  const transient = failure.status === 0 || failure.status === 429 || failure.status >= 500;
  if (
    (state.phase === "Watching" || state.phase === "Listed") &&
    transient &&
    !isFromTheFuture(failure.message)
  ) {
    return {
      state: { phase: "Listed", failures, resourceVersion: state.resourceVersion },
      events: [],
      action,
    };
  }
  // A continue token that expires once will expire again: ask for everything in one answer.
  const unpaged = expired && state.phase === "Listing" && state.seen.length > 0;
  const stays = state.phase === "Empty" || state.phase === "Listing" ? state.unpaged : false;
  return { state: { phase: "Empty", failures, unpaged: unpaged || stays }, events: [], action };
}

/** After a restore from backup the server is behind what we have seen; waiting will not help. */
function isFromTheFuture(message: string): boolean {
  return message.includes("Too large resource version");
}
