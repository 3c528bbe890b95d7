import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { SlipwayError } from "../../../errors.ts";
import type { Json } from "../../../graph/canonical.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { BlobStore } from "../../../store/store.ts";
import type { CompareInput } from "../signals/replay-compare.ts";

/** A blob, and the file that holds it. */
export interface LocatedBlob {
  readonly digest: string;
  readonly file: string;
}

/** What the thread compares. */
export interface CompareTask extends Pick<CompareInput, "metric"> {
  readonly suiteBundle: LocatedBlob;
  readonly result: LocatedBlob;
  readonly reference?: LocatedBlob;
}

/** Of the thread's heap: two results of 100,000 cases, the most that a suite has, are read whole. */
const MAX_HEAP_MB = 2_048;

/**
 * Reads the results of two runs and compares them case by case, beside the thread that answers the API server: with
 * 100,000 cases it takes seconds.
 */
export function compare(blobs: Pick<BlobStore, "locate" | "check">): EffectHandler {
  return async (input, { signal }) => {
    const { metric, suiteBundle, result, reference } = input as unknown as CompareInput;
    const locate = async (digest: string) => ({ digest, file: await blobs.locate(digest) });
    const task: CompareTask = {
      metric,
      suiteBundle: await locate(suiteBundle),
      result: await locate(result),
      ...(reference === undefined ? {} : { reference: await locate(reference) }),
    };
    try {
      return await inThread(task, signal);
    } catch (error) {
      signal.throwIfAborted();
      // What the thread could not read may be damaged; that is said instead, and set aside.
      for (const digest of [suiteBundle, result, reference])
        if (digest !== undefined) await blobs.check(digest);
      if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") throw error;
      throw new SlipwayError(
        "ResultTooLarge",
        `comparing the runs needs more than ${MAX_HEAP_MB} MiB of memory`,
        { cause: error, hint: "split the suite" },
      );
    }
  };
}

async function inThread(task: CompareTask, signal: AbortSignal): Promise<Json> {
  signal.throwIfAborted();
  // The sources in a clone, the compiled file in an installation.
  const file = new URL(`./compare-worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  const worker = new Worker(file, {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const end = () => void worker.terminate();
  signal.addEventListener("abort", end, { once: true });
  try {
    return await new Promise<Json>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => reject(signal.reason ?? new Error("the thread ended without an answer")));
    });
  } finally {
    signal.removeEventListener("abort", end);
    await worker.terminate();
  }
}
