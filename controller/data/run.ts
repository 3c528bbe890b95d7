import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import type { DatasetArtifact } from "./artifact.ts";
import type { GateFault } from "./gates.ts";
import type { StepCount } from "./prepare.ts";
import type { WorkerInput } from "./worker.ts";

export interface PrepareSummary {
  readonly read: number;
  readonly steps: readonly StepCount[];
  readonly splits: readonly { readonly name: string; readonly rows: number }[];
  readonly piiRows: number;
  readonly words: number;
}

export type WorkerAnswer =
  | { readonly artifact: DatasetArtifact; readonly summary: PrepareSummary }
  | { readonly fault: GateFault; readonly summary: PrepareSummary }
  | { readonly error: { readonly code: string; readonly message: string } };

/** Of the worker's heap; what needs more is too large to be prepared in this process. */
const MAX_HEAP_MB = 2_048;

/**
 * Prepares a Dataset in a thread of its own.
 * @throws SlipwayError BadRows, UnreadableData, EmptySource, DatasetTooLarge; the signal's reason
 */
export async function prepareInThread(
  input: WorkerInput,
  signal: AbortSignal,
): Promise<Exclude<WorkerAnswer, { error: unknown }>> {
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
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () =>
        reject(signal.aborted ? signal.reason : new Error("the worker ended without an answer")),
      );
    });
    if ("error" in answer) throw new SlipwayError(answer.error.code, answer.error.message);
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
