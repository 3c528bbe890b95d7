import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import type { DatasetInput, PrepareOutcome } from "./prepare.ts";

export type WorkerAnswer =
  | PrepareOutcome
  | { readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean } };

/** An answer, or before it how far the worker is. */
export type WorkerMessage = WorkerAnswer | { readonly percent: number };

/** Of the worker's heap; what needs more is too large to be prepared in this process. */
const MAX_HEAP_MB = 2_048;

/**
 * Prepares a Dataset in a thread of its own.
 * @throws SlipwayError BadRows, UnreadableData, EmptySource, DatasetTooLarge; the signal's reason
 */
export async function prepareInThread(
  input: DatasetInput,
  signal: AbortSignal,
  onProgress?: (percent: number) => void,
): Promise<PrepareOutcome> {
  signal.throwIfAborted();
  // The sources in a clone, the compiled file in an installation.
  const file = new URL(`./worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  const worker = new Worker(file, {
    workerData: input,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const stop = () => void worker.terminate();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const answer = await new Promise<WorkerAnswer>((resolve, reject) => {
      worker.on("message", (message: WorkerMessage) => {
        if ("percent" in message) onProgress?.(message.percent);
        else resolve(message);
      });
      worker.once("error", reject);
      worker.once("exit", () =>
        reject(
          signal.aborted
            ? signal.reason
            : new SlipwayError("WorkerLost", "the preparation ended without an answer", { retryable: true }),
        ),
      );
    });
    if ("error" in answer) {
      const { code, message, retryable } = answer.error;
      throw new SlipwayError(code, message, { retryable });
    }
    return answer;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") throw cause;
    throw new SlipwayError("DatasetTooLarge", `the Dataset needs more than ${MAX_HEAP_MB} MiB of memory`, {
      cause,
      hint: "split its sources into several Datasets",
    });
  } finally {
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
}
