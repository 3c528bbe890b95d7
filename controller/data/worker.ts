import { parentPort, workerData } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import { type DatasetInput, prepareDataset } from "./prepare.ts";
import type { WorkerAnswer } from "./run.ts";

/** One piece of work, beside the thread that answers the API server. */
try {
  parentPort?.postMessage((await prepareDataset(workerData as DatasetInput)) satisfies WorkerAnswer);
} catch (error) {
  const known = error instanceof SlipwayError;
  // Errors lose their class on the way.
  const { code, message, hint, retryable } = known
    ? error
    : { code: "InternalError", message: String(error), hint: undefined, retryable: true };
  parentPort?.postMessage({
    error: { code, message: hint === undefined ? message : `${message} (${hint})`, retryable },
  } satisfies WorkerAnswer);
}
