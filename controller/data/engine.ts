import { rm } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError } from "../errors.ts";
import { type DataFile, sizeOf } from "./block.ts";
import { type Chunk, type FileName, filesOfRows } from "./chunk.ts";
import { type PassRows, runGlobal, splitsOf } from "./globals.ts";
import { recycle } from "./lines.ts";
import { type Pass, type PrepareSpec, passesOf } from "./passes.ts";
import type { Pool } from "./pool.ts";
import { blocksOf } from "./read.ts";
import { Scratch, scratchLimit } from "./scratch.ts";
import { type KeyFiles, SpooledRows } from "./spool.ts";
import { BAD_ROWS, type StageResult, type StageTask, stageNames, WEIGHTS, type Written } from "./stage.ts";
import type { Cases } from "./steps/compile.ts";
import { type StepCount, Tally } from "./tally.ts";

/** The sources of a Dataset with their content. */
export interface SourceData {
  readonly name: string;
  readonly files: readonly DataFile[];
}

export interface EngineInput {
  readonly spec: PrepareSpec;
  readonly sources: readonly SourceData[];
  readonly cases: Cases;
  /** An empty folder for the rows between passes; it is the caller's to remove. */
  readonly folder: string;
  /** Bytes that may lie there at a time; by the size of the sources unless given. */
  readonly maxScratchBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how far it is, as a share: each pass over the rows counts the same. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

export interface EngineResult {
  readonly read: number;
  readonly steps: readonly StepCount[];
  /** The result in order, cut as it was read. */
  readonly written: readonly Written[];
}

export interface InputFiles {
  readonly names: readonly FileName[];
  readonly files: readonly DataFile[];
}

/** All files of all sources, in the order of the spec. */
export function inputFiles(spec: PrepareSpec, sources: readonly SourceData[]): InputFiles {
  const names: FileName[] = [];
  const files: DataFile[] = [];
  for (const [source, { name }] of spec.sources.entries()) {
    for (const file of sources.find((each) => each.name === name)?.files ?? []) {
      names.push({ path: file.path, source });
      files.push(file);
    }
  }
  return { names, files };
}

export async function inputBytes({ files }: InputFiles): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += await sizeOf(file);
  return bytes;
}

/**
 * Reads the sources and runs the steps in order. Rows lie on disk between passes; in memory is a block for each
 * thread, and a few words for each row. The result depends on the spec, the contents and the cases alone: not on time,
 * machine, or how the work is divided.
 * @throws SlipwayError BadRows, UnreadableData, EmptySource, DigestMismatch, InvalidFilter, DatasetTooLarge, and of
 *   templates; DiskFull (retryable)
 */
export async function runEngine(input: EngineInput, files: InputFiles, pool: Pool): Promise<EngineResult> {
  const { spec, folder, signal, onProgress } = input;
  const { passes } = passesOf(spec);
  const stages = passes.length + 1;
  const steps: StepCount[] = [];
  let tasks = readTasks(files, folder, signal);
  let read = 0;
  let consumed: readonly Chunk[] = [];
  let expected = await inputBytes(files);
  const scratch = new Scratch(folder, input.maxScratchBytes ?? scratchLimit(expected));
  for (let stage = 0; ; stage++) {
    let done = 0;
    const { results, bySource } = await runStage(tasks, stage, spec, pool, scratch, (weight) => {
      done += weight;
      // What is unpacked is more than the files have.
      onProgress?.((stage + Math.min(1, done / Math.max(1, expected))) / stages);
    });
    signal?.throwIfAborted();
    await removed(consumed.map(({ path }) => path));
    scratch.remove(bytesOf(consumed));
    const counts = summed(stageNames(spec, stage), results);
    if (stage === 0) {
      read = bySource.reduce((sum, rows) => sum + rows, 0);
      checkRead(spec, bySource, counts);
    }
    steps.push(
      ...counts.filter(({ name, dropped }) => dropped > 0 || (name !== BAD_ROWS && name !== WEIGHTS)),
    );
    const pass = passes[stage];
    if (!pass) return { read, steps, written: results.map(({ written }) => written!) };
    consumed = results.map(({ chunk }) => chunk!);
    expected = results.length;
    using rows = rowsOf(results, spec, files);
    tasks = await nextTasks(pass, rows, pool, steps, join(folder, `pass${stage + 1}-`));
    await removed(results.flatMap(({ keys }) => keys ?? []));
    scratch.remove(bytesOf(results) - bytesOf(consumed));
  }
}

/** The rows of the first pass, with their keys: what its global steps work on. */
export async function passRows(input: EngineInput, files: InputFiles, pool: Pool): Promise<StageRows> {
  const scratch = new Scratch(input.folder, scratchLimit(await inputBytes(files)));
  const tasks = readTasks(files, input.folder, input.signal);
  const { results } = await runStage(tasks, 0, input.spec, pool, scratch);
  return rowsOf(results, input.spec, files);
}

async function runStage(
  tasks: AsyncIterable<FileTask>,
  stage: number,
  spec: PrepareSpec,
  pool: Pool,
  scratch: Scratch,
  onDone?: (weight: number) => void,
): Promise<{ results: StageResult[]; bySource: number[] }> {
  const results: StageResult[] = [];
  const bySource = spec.sources.map(() => 0);
  const run = async ({ source, ...task }: FileTask) => {
    const result = await pool.run({ type: "stage", ...task, stage });
    await scratch.add(result.bytes);
    if (source !== undefined) bySource[source]! += result.read;
    const block = "block" in task.from ? task.from.block : undefined;
    onDone?.(block ? block.lines.byteLength : 1);
    if (block) recycle(block.lines);
    return result;
  };
  await inOrder(tasks, pool.width, run, (result) => results.push(result));
  return { results, bySource };
}

type FileTask = Omit<StageTask, "stage"> & { readonly source?: number };

async function* readTasks(
  { files, names }: InputFiles,
  folder: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<FileTask> {
  let serial = 0;
  for (const [file, data] of files.entries()) {
    for await (const block of blocksOf(data)) {
      signal?.throwIfAborted();
      const out = join(folder, `pass0-${serial++}`);
      yield { from: { block, file }, out, source: names[file]!.source };
    }
  }
}

interface StageRows extends PassRows, Disposable {
  readonly chunks: readonly Chunk[];
  /** Of each global step. */
  readonly keys: readonly KeyFiles[];
}

function rowsOf(results: readonly StageResult[], spec: PrepareSpec, { names }: InputFiles): StageRows {
  const chunks = results.map(({ chunk }) => chunk!);
  const counts = chunks.map(({ rows }) => rows);
  const rows = new SpooledRows(chunks);
  const globals = results[0]?.keys?.length ?? 0;
  return {
    chunks,
    keys: Array.from({ length: globals }, (_, i) => ({
      paths: results.map(({ keys }) => keys![i]!),
      rows: counts,
    })),
    rows,
    files: names,
    spec,
    dropped: new Uint8Array(new SharedArrayBuffer(counts.reduce((sum, count) => sum + count, 0))),
    sources: () => sourcesOf(chunks, names),
    [Symbol.dispose]: () => rows[Symbol.dispose](),
  };
}

/** Runs the global steps of a pass; the rows that are left are the tasks of the next. */
async function nextTasks(
  { globals }: Pass,
  rows: StageRows,
  pool: Pool,
  steps: StepCount[],
  out: string,
): Promise<AsyncGenerator<FileTask>> {
  let splits: Uint8Array | undefined;
  for (const [i, global] of globals.entries()) {
    const keys = rows.keys[i]!;
    if (global.type === "split") splits = await splitsOf(global, keys, rows, pool);
    else steps.push(await runGlobal(global, keys, rows, pool));
  }
  return chunkTasks(rows.chunks, rows.dropped, splits, out);
}

async function* chunkTasks(
  chunks: readonly Chunk[],
  dropped: Uint8Array,
  splits: Uint8Array | undefined,
  out: string,
): AsyncGenerator<FileTask> {
  let start = 0;
  for (const [i, chunk] of chunks.entries()) {
    const end = start + chunk.rows;
    // Copies: what a message shares is shared whole.
    const from = {
      chunk,
      dropped: dropped.slice(start, end),
      ...(splits ? { splits: splits.slice(start, end) } : {}),
    };
    yield { from, out: `${out}${i}` };
    start = end;
  }
}

const bytesOf = (written: readonly { readonly bytes: number }[]): number =>
  written.reduce((sum, { bytes }) => sum + bytes, 0);

async function removed(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

function sourcesOf(chunks: readonly Chunk[], names: readonly FileName[]): Uint8Array {
  const sources = new Uint8Array(chunks.reduce((sum, { rows }) => sum + rows, 0));
  let at = 0;
  for (const chunk of chunks) for (const file of filesOfRows(chunk)) sources[at++] = names[file]!.source;
  return sources;
}

/** Runs tasks side by side and takes their results in order; so many of both are in memory. */
async function inOrder<T, R>(
  tasks: AsyncIterable<T>,
  width: number,
  run: (task: T) => Promise<R>,
  take: (result: R) => void,
): Promise<void> {
  const running: Promise<R>[] = [];
  try {
    for await (const task of tasks) {
      running.push(run(task));
      running.at(-1)!.catch(() => {});
      if (running.length >= width) take(await running.shift()!);
    }
    while (running.length > 0) take(await running.shift()!);
  } finally {
    await Promise.allSettled(running);
  }
}

function summed(names: readonly string[], results: readonly StageResult[]): StepCount[] {
  const tallies = names.map(() => new Tally());
  for (const { counts } of results) for (const [i, count] of counts.entries()) tallies[i]!.add(count);
  return tallies.map((tally, i) => tally.named(names[i]!));
}

/** @throws SlipwayError EmptySource, BadRows */
function checkRead(spec: PrepareSpec, bySource: readonly number[], counts: readonly StepCount[]): void {
  const empty = bySource.indexOf(0);
  if (empty >= 0)
    throw new SlipwayError("EmptySource", `the source ${spec.sources[empty]!.name} has no rows`);
  const bad = counts.find(({ name }) => name === BAD_ROWS);
  if (!bad || bad.dropped === 0 || spec.onBadRow === "Drop") return;
  const shown = bad.samples.map(({ origin, reason }) => `${origin}: ${reason}`);
  const more = bad.dropped > shown.length ? `; and ${bad.dropped - shown.length} more` : "";
  throw new SlipwayError("BadRows", `${bad.dropped} bad rows: ${shown.join("; ")}${more}`, {
    hint: "mend them, or leave them out with onBadRow: Drop",
  });
}
