import { isConflict } from "../kube/kube-error.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "./metrics.ts";
import { WorkQueue } from "./queue.ts";

/** Anything that brings the thing that a key names to where it should be. */
export interface Reconciler {
  /** For logs and metrics. */
  readonly name: string;
  /**
   * Called for one key at a time per key. What it throws is tried again with backoff.
   * @param failures how often this key has failed in a row
   */
  reconcile(
    key: string,
    signal: AbortSignal,
    failures: number,
  ): Promise<{ readonly requeueAfterMs?: number; readonly result?: string } | undefined>;
}

export interface ControllerOptions {
  readonly reconciler: Reconciler;
  readonly workers: number;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  readonly queue?: WorkQueue;
}

/** A queue and the workers that take from it. */
export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.name = options.reconciler.name;
    this.queue = options.queue ?? new WorkQueue();
  }

  /**
   * Works until the queue is closed; resolves when the last reconcile has ended.
   * @param signal ends reconciles that are under way, too
   */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.get(); key !== undefined; key = await this.queue.get()) {
      try {
        await this.#one(key, signal);
      } finally {
        this.queue.done(key);
      }
    }
  }

  async #one(key: string, signal: AbortSignal): Promise<void> {
    const { reconciler, log, metrics } = this.#options;
    const started = performance.now();
    let result = "error";
    try {
      const answer = await reconciler.reconcile(key, signal, this.queue.failures(key));
      result = answer?.result ?? "done";
      this.queue.forget(key);
      if (answer?.requeueAfterMs !== undefined) this.queue.addAfter(key, answer.requeueAfterMs);
    } catch (err) {
      this.queue.addRateLimited(key);
      // A lost lock is how concurrent writers meet, not a fault.
      if (isConflict(err) || signal.aborted) {
        result = "conflict";
        log.debug({ err, key, controller: this.name }, "reconcile to be repeated");
      } else {
        const failures = this.queue.failures(key);
        log.error({ err, key, controller: this.name, failures }, "reconcile failed; it is tried again");
      }
    } finally {
      metrics?.observeReconcile(this.name, result, (performance.now() - started) / 1000);
    }
  }
}
