import { diffInThread } from "../../data/diff/run.ts";
import type { DatasetDiff, DiffInput } from "../../data/diff/types.ts";
import { describeError, SlipwayError } from "../../errors.ts";
import type { Json } from "../../graph/canonical.ts";
import type { Logger } from "../../log.ts";
import { Semaphore } from "../../runtime/semaphore.ts";
import type { ResultCache } from "../../store/store.ts";
import type { DataPlan, PlannedDiff } from "./plan.ts";
import type { DataState, NotComparedReason } from "./state.ts";

export interface DatasetDiffsOptions {
  readonly results: ResultCache;
  readonly log: Logger;
  /** Asks for another look at a repository. */
  readonly wake: (key: string) => void;
  readonly run?: (input: DiffInput, signal: AbortSignal) => Promise<DatasetDiff>;
}

/** Failures that are remembered, so that what is too large is not tried again at each look. */
const KEPT_FAILURES = 200;

/** Of comparisons that wait: each holds the files of two commits, up to 128 MiB. */
const MAX_WAITING = 4;

/** Compares Datasets one after the other beside the main thread; what was compared once is looked up. */
export class DatasetDiffs {
  readonly #options: DatasetDiffsOptions;
  readonly #lane = new Semaphore(1);
  readonly #running = new Map<string, Set<string>>();
  /** Repositories that ask again when there is room. */
  readonly #turnedAway = new Set<string>();
  readonly #failed = new Map<string, { reason: NotComparedReason; message: string }>();

  constructor(options: DatasetDiffsOptions) {
    this.#options = options;
  }

  /**
   * What is known, at once; what is not begins, and wakes the repository when it ends.
   * @param tenant the namespace: nobody finds out from a cache what others have
   * @param signal ends what runs
   */
  look(key: string, tenant: string, plans: readonly DataPlan[], signal: AbortSignal): DataState[] {
    return plans.map((plan) => {
      const { dataset } = plan;
      if (plan.state === "NotCompared") return plan;
      const found = this.#options.results.get(tenant, "data-diff", plan.digest);
      if (found) return { dataset, state: "Compared", diff: found as unknown as DatasetDiff };
      const failure = this.#failed.get(plan.digest);
      if (failure) return { dataset, state: "NotCompared", ...failure };
      this.#start(key, tenant, plan, signal);
      return { dataset, state: "Running" };
    });
  }

  #start(key: string, tenant: string, plan: PlannedDiff, signal: AbortSignal): void {
    const id = `${tenant} ${plan.digest}`;
    const waiting = this.#running.get(id);
    if (waiting) {
      waiting.add(key);
      return;
    }
    if (this.#running.size >= MAX_WAITING) {
      this.#turnedAway.add(key);
      return;
    }
    const keys = new Set([key]);
    this.#running.set(id, keys);
    void this.#compare(tenant, plan, signal).finally(() => {
      this.#running.delete(id);
      if (signal.aborted) return;
      for (const each of new Set([...keys, ...this.#turnedAway])) this.#options.wake(each);
      this.#turnedAway.clear();
    });
  }

  async #compare(
    tenant: string,
    { dataset, digest, input }: PlannedDiff,
    signal: AbortSignal,
  ): Promise<void> {
    const { run = diffInThread, results, log } = this.#options;
    await this.#lane.acquire();
    try {
      if (signal.aborted) return;
      await results.put(tenant, "data-diff", digest, (await run(input, signal)) as unknown as Json);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: error, dataset }, "cannot compare a Dataset");
      const code = error instanceof SlipwayError ? error.code : "DiffFailed";
      this.#failed.set(digest, {
        reason: code === "DiffTooLarge" || code === "DiffTimedOut" ? code : "DiffFailed",
        message:
          error instanceof SlipwayError
            ? describeError(error)
            : "an unforeseen error; see the controller's log",
      });
      for (const oldest of this.#failed.keys()) {
        if (this.#failed.size <= KEPT_FAILURES) break;
        this.#failed.delete(oldest);
      }
    } finally {
      this.#lane.release();
    }
  }
}
