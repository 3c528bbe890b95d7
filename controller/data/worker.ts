import { parentPort, workerData } from "node:worker_threads";
import type { DatasetSpec } from "../../schemas/dataset.ts";
import { SlipwayError } from "../errors.ts";
import { datasetArtifact } from "./artifact.ts";
import { gateFaults } from "./gates.ts";
import { prepare, type SourceData } from "./prepare.ts";
import type { WorkerAnswer } from "./run.ts";

export interface WorkerInput {
  readonly name: string;
  readonly spec: DatasetSpec;
  readonly sources: readonly SourceData[];
  readonly cases: ReadonlyMap<string, readonly string[]>;
}

/** One piece of work, beside the thread that answers the API server. */
async function work({ name, spec, sources, cases }: WorkerInput): Promise<WorkerAnswer> {
  const prepared = await prepare(spec, sources, { cases });
  const [fault] = gateFaults(spec.gates, prepared);
  const { read, steps, piiRows, words } = prepared;
  const splits = prepared.splits.map((split) => ({ name: split.name, rows: split.rows.length }));
  const summary = { read, steps, splits, piiRows, words };
  if (fault) return { fault, summary };
  return { artifact: datasetArtifact(name, spec, prepared), summary };
}

try {
  parentPort?.postMessage(await work(workerData as WorkerInput));
} catch (error) {
  const known = error instanceof SlipwayError;
  // Errors lose their class on the way.
  const { code, message, hint } = known
    ? error
    : { code: "InternalError", message: String(error), hint: undefined };
  parentPort?.postMessage({
    error: { code, message: hint === undefined ? message : `${message} (${hint})` },
  } satisfies WorkerAnswer);
}
