import { SlipwayError } from "../errors.ts";
import { canonicalJson, type Json } from "../graph/canonical.ts";
import type { Logger } from "../log.ts";
import { CANCELLED, type Intent, type IntentLog } from "../store/store.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { EffectHandler, EffectOutcome, EffectRequest, ObjectRef } from "./kind.ts";
import { Lane } from "./lane.ts";

/** Whose effect it is. With the uid, so that an object made again under its old name starts afresh. */
export interface EffectOwner {
  readonly ref: ObjectRef;
  readonly uid: string;
}

export interface EffectRunnerOptions {
  readonly intents: IntentLog;
  readonly handlers: (kind: string) => Readonly<Record<string, EffectHandler>> | undefined;
  /** An effect of this object has progressed or ended. */
  readonly wake: (object: ObjectRef) => void;
  readonly log: Logger;
  /**
   * How many of one kind's effect run at a time in one namespace, so that long ones do not hold up others; 8 unless
   * given. There is room for a quarter more of other namespaces.
   */
  readonly concurrency?: number;
  readonly clock?: Clock;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** One attempt in this process. */
interface Attempt {
  readonly owner: EffectOwner;
  readonly request: EffectRequest;
  readonly abort: AbortController;
  readonly failuresBefore: number;
  outcome: EffectOutcome;
  intentId?: number;
}

const PROGRESS_INTERVAL_MS = 1_000;
/** A failed effect is not started again sooner, whatever the decision says: 0.1 s doubling to 30 s. */
const RETRY_BASE_MS = 100;
const RETRY_MAX_MS = 30_000;

/** The reason of an abort: told apart by identity. */
const OBSOLETE = new SlipwayError(CANCELLED, "nobody asks for this effect any more", { retryable: true });
const SHUTDOWN = new SlipwayError("ShuttingDown", "the controller is stopping", { retryable: true });

/** The name under which the stores know an owner: `Kind/namespace/name/uid`. */
export function ownerName({ ref, uid }: EffectOwner): string {
  return `${ref.kind}/${ref.namespace}/${ref.name}/${uid}`;
}

/** Runs effects outside the reconcile workers and remembers how they ended. */
export class EffectRunner {
  readonly #options: EffectRunnerOptions;
  readonly #clock: Clock;
  readonly #now: () => number;
  /** By owner, then by effect and input digest; the latest attempt. */
  readonly #attempts = new Map<string, Map<string, Attempt>>();
  readonly #lanes = new Map<string, Lane>();
  readonly #running = new Set<Promise<void>>();
  #stopping = false;

  constructor(options: EffectRunnerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#now = options.now ?? Date.now;
  }

  /** Attempts that have begun or wait for room. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * The latest attempt, from memory or from the intent log. One that a former process left unfinished shows
   * as Running, with its attempt number: the decision asks for it as for any other that runs, and that starts
   * it again with `recovered` set.
   */
  outcome(owner: EffectOwner, effect: string, inputDigest: string): EffectOutcome | undefined {
    const attempt = this.#attempts.get(ownerName(owner))?.get(keyOf(effect, inputDigest));
    if (attempt) return attempt.outcome;
    const intent = this.#options.intents.latest(ownerName(owner), effect, inputDigest);
    return intent && outcomeOf(intent);
  }

  /** Starts what is asked for and does not run yet; aborts what runs and is not asked for. */
  async retain(owner: EffectOwner, requests: readonly EffectRequest[]): Promise<void> {
    const object = ownerName(owner);
    const wanted = new Map(requests.map((request) => [keyOf(request.name, request.inputDigest), request]));
    for (const [key, attempt] of this.#attempts.get(object) ?? []) {
      const request = wanted.get(key);
      if (attempt.outcome.state === "Running") {
        if (request?.attempt !== attempt.request.attempt) await this.#cancel(object, key, attempt);
      } else if (!request && requests.some(({ name }) => name === attempt.request.name)) {
        // Its input has changed; a durable outcome can still be read from the log.
        this.#attempts.get(object)?.delete(key);
      }
    }
    for (const intent of this.#options.intents.unfinished(object)) {
      const key = keyOf(intent.effect, intent.inputDigest);
      const here = this.#attempts.get(object)?.get(key)?.intentId === intent.id;
      if (here || wanted.get(key)?.attempt === intent.attempt) continue;
      await this.#options.intents.finish(intent.id, { error: errorOf(OBSOLETE) });
    }
    for (const request of requests) this.start(owner, request);
  }

  /** Starts an attempt. Does nothing when it, or a later one with this input, runs or has ended. */
  start(owner: EffectOwner, request: EffectRequest): void {
    if (this.#stopping) return;
    const before = this.outcome(owner, request.name, request.inputDigest);
    const object = ownerName(owner);
    const key = keyOf(request.name, request.inputDigest);
    const attempts = this.#attempts.get(object) ?? new Map<string, Attempt>();
    const here = attempts.get(key);
    if (before && before.attempt > request.attempt) return;
    // Running but not here: a former process began it.
    if (before?.attempt === request.attempt && (here || before.state !== "Running")) return;
    const attempt: Attempt = {
      owner,
      request,
      abort: new AbortController(),
      failuresBefore: before?.state === "Failed" ? (here ? here.failuresBefore + 1 : before.attempt) : 0,
      outcome: { state: "Running", attempt: request.attempt, startedAt: this.#now() },
    };
    attempts.set(key, attempt);
    this.#attempts.set(object, attempts);
    const run = this.#run(attempt, before).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Aborts everything of an object that is being deleted. */
  abort(owner: EffectOwner): Promise<void> {
    return this.retain(owner, []);
  }

  /** Forgets everything of an object that is gone. */
  async forget(owner: EffectOwner): Promise<void> {
    const object = ownerName(owner);
    for (const { abort } of this.#attempts.get(object)?.values() ?? []) abort.abort(OBSOLETE);
    this.#attempts.delete(object);
    await this.#options.intents.forget(object);
  }

  /**
   * Aborts what runs and waits until it has ended, `graceMs` at most. What ends well is recorded; what does
   * not stays unfinished in the intent log, and the next process adopts it.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const attempts of this.#attempts.values()) {
      for (const { abort } of attempts.values()) abort.abort(SHUTDOWN);
    }
    let cancel = () => {};
    const grace = new Promise<void>((resolve) => {
      cancel = this.#clock.after(graceMs, resolve);
    });
    await Promise.race([Promise.allSettled(this.#running), grace]);
    cancel();
    if (this.#running.size > 0) {
      this.#options.log.warn(
        { effects: this.#running.size },
        "effects did not end in time; they are adopted by the next start",
      );
    }
  }

  async #cancel(object: string, key: string, attempt: Attempt): Promise<void> {
    this.#attempts.get(object)?.delete(key);
    attempt.abort.abort(OBSOLETE);
    if (attempt.intentId !== undefined) {
      await this.#options.intents.finish(attempt.intentId, { error: errorOf(OBSOLETE) });
    }
  }

  async #run(attempt: Attempt, before: EffectOutcome | undefined): Promise<void> {
    const { owner, request } = attempt;
    const { signal } = attempt.abort;
    const { kind, namespace, name } = owner.ref;
    const log = this.#options.log.child({
      kind,
      namespace,
      name,
      effect: request.name,
      attempt: request.attempt,
    });
    await this.#pauseAfterFailure(attempt, before);
    const lane = this.#lane(`${kind}.${request.name}`);
    await lane.acquire(namespace);
    try {
      if (signal.aborted) return;
      const handler = this.#options.handlers(kind)?.[request.name];
      if (!handler) throw new SlipwayError("UnknownEffect", `${kind} has no effect ${request.name}`);
      let recovered = false;
      if (request.durable) {
        const adopted = before?.state === "Running";
        const intent = await this.#begin(owner, request);
        if (intent.finishedAt !== undefined) {
          this.#settle(attempt, outcomeOf(intent));
          return;
        }
        attempt.intentId = intent.id;
        recovered = adopted || intent.startedAt < attempt.outcome.startedAt;
        // Aborted while the intent was written: it has no id to be cancelled by until now.
        if (signal.aborted) {
          if (signal.reason === OBSOLETE) await this.#finish(attempt, { error: errorOf(OBSOLETE) });
          return;
        }
      }
      if (recovered) log.info("adopting an effect that a former process began");
      using progress = this.#progress(attempt);
      const output = await handler(request.input, {
        object: owner.ref,
        owner: ownerName(owner),
        attempt: request.attempt,
        recovered,
        signal,
        log,
        progress: progress.report,
      });
      canonicalJson(output);
      if (signal.reason === OBSOLETE) return;
      await this.#finish(attempt, { output });
      this.#settle(attempt, { ...attempt.outcome, state: "Succeeded", finishedAt: this.#now(), output });
    } catch (err) {
      // Aborted: whatever it says, it is not how the effect ended.
      if (signal.aborted) return;
      const error = errorOf(err);
      log.warn({ err, code: error.code }, "an effect failed");
      await this.#finish(attempt, { error });
      this.#settle(attempt, { ...attempt.outcome, state: "Failed", finishedAt: this.#now(), error });
    } finally {
      lane.release(namespace);
    }
  }

  async #begin(owner: EffectOwner, request: EffectRequest): Promise<Intent> {
    const { name: effect, inputDigest, attempt, input } = request;
    try {
      return await this.#options.intents.begin({
        object: ownerName(owner),
        effect,
        inputDigest,
        attempt,
        input,
      });
    } catch (cause) {
      throw new SlipwayError(
        "StateUnwritable",
        "cannot write the intent of an effect, so it was not started",
        {
          cause,
          retryable: true,
        },
      );
    }
  }

  /** A failure to write is logged, not thrown: the effect has ended; the next process looks it up again. */
  async #finish(
    attempt: Attempt,
    outcome: { output: Json } | { error: NonNullable<Intent["error"]> },
  ): Promise<void> {
    if (attempt.intentId === undefined) return;
    try {
      await this.#options.intents.finish(attempt.intentId, outcome);
    } catch (err) {
      this.#options.log.error({ err, intent: attempt.intentId }, "cannot write the outcome of an effect");
    }
  }

  /** Takes the outcome in, unless the attempt was given up meanwhile. */
  #settle(attempt: Attempt, outcome: EffectOutcome): void {
    const { owner, request } = attempt;
    const current = this.#attempts.get(ownerName(owner))?.get(keyOf(request.name, request.inputDigest));
    if (current !== attempt) return;
    attempt.outcome = outcome;
    this.#options.wake(owner.ref);
  }

  #progress(attempt: Attempt): { report: (value: Json) => void } & Disposable {
    let cancel: (() => void) | undefined;
    let last = Number.NEGATIVE_INFINITY;
    const wake = () => {
      cancel = undefined;
      last = this.#clock.now();
      this.#options.wake(attempt.owner.ref);
    };
    return {
      report: (value) => {
        if (attempt.abort.signal.aborted || attempt.outcome.state !== "Running") return;
        attempt.outcome = { ...attempt.outcome, progress: value };
        if (cancel) return;
        const left = last + PROGRESS_INTERVAL_MS - this.#clock.now();
        if (left <= 0) wake();
        else cancel = this.#clock.after(left, wake);
      },
      [Symbol.dispose]: () => cancel?.(),
    };
  }

  async #pauseAfterFailure(attempt: Attempt, before: EffectOutcome | undefined): Promise<void> {
    if (attempt.failuresBefore === 0) return;
    const pause = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(20, attempt.failuresBefore - 1));
    const left = (before?.finishedAt ?? 0) + pause - this.#now();
    if (left <= 0) return;
    const { signal } = attempt.abort;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(left, resolve);
      const onAbort = () => {
        cancel();
        resolve();
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (!lane) {
      const { concurrency = 8 } = this.#options;
      lane = new Lane(concurrency, concurrency + Math.ceil(concurrency / 4));
      this.#lanes.set(name, lane);
    }
    return lane;
  }
}

function keyOf(effect: string, inputDigest: string): string {
  return `${effect}\n${inputDigest}`;
}

function outcomeOf({ attempt, startedAt, finishedAt, output, error }: Intent): EffectOutcome {
  if (finishedAt === undefined) return { state: "Running", attempt, startedAt };
  if (error) return { state: "Failed", attempt, startedAt, finishedAt, error };
  return { state: "Succeeded", attempt, startedAt, finishedAt, ...(output === undefined ? {} : { output }) };
}

/** What is not a SlipwayError is unforeseen; whether a retry helps is not known, so the kind may try. */
function errorOf(error: unknown): NonNullable<EffectOutcome["error"]> {
  if (error instanceof SlipwayError) {
    const { code, message, hint, retryable } = error;
    return { code, message: hint ? `${message} (${hint})` : message, retryable };
  }
  return {
    code: "InternalError",
    message: error instanceof Error ? error.message : String(error),
    retryable: true,
  };
}
