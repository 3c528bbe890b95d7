import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { DatasetSpec } from "../../schemas/dataset.ts";
import { originOf } from "./chunk.ts";
import { inputBytes, inputFiles, runEngine, type SourceData } from "./engine.ts";
import { type GateFault, gateFaults } from "./gates.ts";
import type { PrepareSpec } from "./passes.ts";
import { Pool } from "./pool.ts";
import {
  artifactOf,
  type DatasetArtifact,
  type PrepareSummary,
  type ResolvedSource,
  summaryOf,
} from "./publish.ts";
import type { PlacedRow, Row } from "./row.ts";
import type { Cases } from "./steps/compile.ts";

export type { SourceData } from "./engine.ts";
export type { PrepareSpec } from "./passes.ts";
export type { StepCount } from "./tally.ts";

/** What preparing has come to, with the rows in memory. */
export interface Prepared extends Omit<PrepareSummary, "splits"> {
  readonly splits: readonly { readonly name: string; readonly rows: readonly PlacedRow[] }[];
}

/**
 * Prepares rows that fit into memory, in this thread, without publishing them: for comparisons and tests.
 * @throws SlipwayError as runEngine
 */
export async function prepare(
  spec: PrepareSpec,
  sources: readonly SourceData[],
  { cases }: { readonly cases: Cases },
): Promise<Prepared> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-rows-"));
  try {
    const input = inputFiles(spec, sources);
    const context = { spec, cases, files: input.names, origins: true };
    await using pool = new Pool(context, 0);
    const result = await runEngine({ spec, sources, cases, folder }, input, pool);
    const splits = await Promise.all(
      spec.splits.map(async ({ name }, i) => {
        const rows: PlacedRow[] = [];
        for (const { splits: parts } of result.written) {
          const { path, places = [] } = parts[i]!;
          const lines = (await readFile(path, "utf8")).split("\n");
          for (const [at, place] of places.entries())
            rows.push({ row: JSON.parse(lines[at]!) as Row, origin: originOf(input.names, place) });
        }
        return { name, rows };
      }),
    );
    return { ...summaryOf(spec, result), splits };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface DatasetInput {
  readonly name: string;
  readonly spec: DatasetSpec;
  readonly sources: readonly SourceData[];
  readonly cases: Cases;
  readonly resolved?: readonly ResolvedSource[] | undefined;
  /** An empty folder with room for about three times the sources as they are unpacked; the artifact's files are left in it. */
  readonly folder: string;
  /** As many as the machine has cores unless given; little data needs none. The result does not depend on it. */
  readonly threads?: number | undefined;
}

export type PrepareOutcome =
  | { readonly artifact: DatasetArtifact; readonly summary: PrepareSummary }
  | { readonly fault: GateFault; readonly summary: PrepareSummary };

/** Less is prepared sooner than threads have started. */
const SMALL_BYTES = 8 << 20;

/**
 * Prepares a Dataset: its artifact's files under `folder`, or the gate that does not hold.
 * @throws SlipwayError as runEngine; WorkerLost (retryable), DatasetTooLarge
 */
export async function prepareDataset(
  input: DatasetInput,
  signal?: AbortSignal,
  onProgress?: (done: number) => void,
): Promise<PrepareOutcome> {
  const { name, spec, sources, cases, folder } = input;
  const files = inputFiles(spec, sources);
  const small = (await inputBytes(files)) < SMALL_BYTES;
  const threads = small ? 0 : Math.min(32, input.threads ?? availableParallelism());
  await using pool = new Pool({ spec, cases, files: files.names }, threads);
  const result = await runEngine({ spec, sources, cases, folder, signal, onProgress }, files, pool);
  const summary = summaryOf(spec, result);
  const [fault] = gateFaults(spec.gates, summary);
  if (fault) return { fault, summary };
  return { artifact: await artifactOf(name, spec, result, input.resolved ?? [], folder, pool), summary };
}
