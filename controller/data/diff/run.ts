import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { SlipwayError } from "../../errors.ts";
import type { DatasetDiff, DiffInput } from "./types.ts";

/** Of the thread's heap: a pull request's author chooses what is read. */
const MAX_HEAP_MB = 1_536;
const TIMEOUT_MS = 300_000;

/**
 * Compares a Dataset of two commits in a thread of its own.
 * @param scratch a folder for what lies on the disk meanwhile
 * @throws SlipwayError DiffTooLarge, DiffTimedOut; the signal's reason
 */
export async function diffInThread(
  input: DiffInput,
  signal: AbortSignal,
  timeoutMs: number = TIMEOUT_MS,
  scratch: string = tmpdir(),
): Promise<DatasetDiff> {
  signal.throwIfAborted();
  // Of the thread's own, so that what a thread that was ended leaves on the disk goes with it.
  const folder = await mkdtemp(join(scratch, "slipway-diff-"));
  try {
    return await inThread(input, folder, signal, timeoutMs);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function inThread(
  input: DiffInput,
  folder: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<DatasetDiff> {
  signal.throwIfAborted();
  const deadline = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([signal, deadline]);
  // The sources in a clone, the compiled file in an installation.
  const file = new URL(`./worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  const worker = new Worker(file, {
    workerData: input,
    env: { ...process.env, TMPDIR: folder },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const end = () => void worker.terminate();
  stop.addEventListener("abort", end, { once: true });
  try {
    return await new Promise<DatasetDiff>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => reject(stop.reason ?? new Error("the worker ended without an answer")));
    });
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (deadline.aborted)
      throw new SlipwayError("DiffTimedOut", `comparing took more than ${timeoutMs / 1000} s`, { cause });
    if ((cause as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") throw cause;
    throw new SlipwayError("DiffTooLarge", `comparing needs more than ${MAX_HEAP_MB} MiB of memory`, {
      cause,
    });
  } finally {
    stop.removeEventListener("abort", end);
    await worker.terminate();
  }
}
