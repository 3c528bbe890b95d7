import { parentPort, workerData } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import { type DatasetInput, prepareDataset } from "./prepare.ts";
import type { WorkerMessage } from "./run.ts";

/** One piece of work, beside the thread that answers the API server. */
let said = 0;
/** Each percent once. */
function onProgress(done: number): void {
  const percent = Math.floor(100 * done);
  if (percent <= said) return;
  said = percent;
  parentPort?.postMessage({ percent } satisfies WorkerMessage);
}

try {
  const answer = await prepareDataset(workerData as DatasetInput, undefined, onProgress);
  parentPort?.postMessage(answer satisfies WorkerMessage);
} catch (error) {
  const known = error instanceof SlipwayError;
  // Errors lose their class on the way.
  const { code, message, hint, retryable } = known
    ? error
    : { code: "InternalError", message: String(error), hint: undefined, retryable: true };
  parentPort?.postMessage({
    error: { code, message: hint === undefined ? message : `${message} (${hint})`, retryable },
  } satisfies WorkerMessage);
}
