import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ArtifactManifest } from "../../schemas/artifact.ts";
import type { DatasetSpec } from "../../schemas/dataset.ts";
import { blobDigest, canonicalJson, type Json } from "../graph/canonical.ts";
import { datasetCard } from "./card.ts";
import type { EngineResult } from "./engine.ts";
import type { Pool } from "./pool.ts";
import { type Shard, ShardCutter, shardName } from "./shards.ts";
import type { Written } from "./stage.ts";
import type { StepCount } from "./tally.ts";

/** Figures of a prepared Dataset. */
export interface PrepareSummary {
  readonly read: number;
  readonly steps: readonly StepCount[];
  readonly splits: readonly { readonly name: string; readonly rows: number }[];
  /** Rows of the result in which personal data or keys are found. */
  readonly piiRows: number;
  readonly words: number;
  /** How many rows have up to 1, 2, 4, 8… words; for the histogram. */
  readonly lengths: readonly { readonly upTo: number; readonly rows: number }[];
}

/** What was read from outside of the Repository; the manifest names it. */
export interface ResolvedSource {
  readonly name: string;
  readonly resolved: string;
  readonly files: readonly { readonly path: string; readonly digest: string; readonly bytes: number }[];
}

export interface ArtifactFile {
  readonly path: string;
  /** Where it lies until it is published. */
  readonly file: string;
  readonly digest: string;
  readonly bytes: number;
}

export interface DatasetArtifact {
  readonly manifest: ArtifactManifest;
  /** Digest of the manifest, which is the artifact's. */
  readonly digest: string;
  readonly files: readonly ArtifactFile[];
  readonly bytes: number;
}

export function summaryOf(
  spec: Pick<DatasetSpec, "splits">,
  { read, steps, written }: EngineResult,
): PrepareSummary {
  const lengths = new Map<number, number>();
  for (const part of written)
    for (const [upTo, rows] of part.lengths) lengths.set(upTo, (lengths.get(upTo) ?? 0) + rows);
  const sum = (of: (part: Written) => number) => written.reduce((total, part) => total + of(part), 0);
  return {
    read,
    steps,
    splits: spec.splits.map(({ name }, i) => ({ name, rows: sum(({ splits }) => splits[i]!.rows) })),
    piiRows: sum(({ piiRows }) => piiRows),
    words: sum(({ words }) => words),
    lengths: [...lengths].sort(([a], [b]) => a - b).map(([upTo, rows]) => ({ upTo, rows })),
  };
}

/**
 * Puts the result together under `folder`: `<split>.jsonl`, the same as Parquet, figures and the card, and the manifest
 * that lists them, whose digest stands for all of them.
 */
export async function artifactOf(
  name: string,
  spec: DatasetSpec,
  result: EngineResult,
  resolved: readonly ResolvedSource[],
  folder: string,
  pool: Pool,
): Promise<DatasetArtifact> {
  const summary = summaryOf(spec, result);
  const files: ArtifactFile[] = [];
  for (const [i, split] of spec.splits.entries()) {
    const lines = await joined(split.name, result.written, i, folder);
    files.push(lines.file);
    files.push(...(await parquetFiles(spec, split.name, lines.file.file, lines.shards, folder, pool)));
  }
  const text = async (path: string, content: string) => {
    const file = join(folder, `out-${path}`);
    await writeFile(file, content);
    files.push({ path, file, digest: blobDigest(content), bytes: Buffer.byteLength(content) });
  };
  await text("stats.json", `${canonicalJson(summary)}\n`);
  await text("README.md", datasetCard(name, spec, summary));
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const manifest: ArtifactManifest = {
    version: 1,
    type: "dataset",
    files: files.map(({ path, digest, bytes }) => ({ path, digest, bytes })),
    metadata: {
      format: spec.format,
      splits: summary.splits as unknown as Json,
      ...(resolved.length > 0 ? { sources: resolved } : {}),
    },
  };
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { manifest, digest: blobDigest(canonicalJson(manifest)), files, bytes };
}

/** Appends the pieces of a split in their order, and removes them. */
async function joined(
  split: string,
  written: readonly Written[],
  index: number,
  folder: string,
): Promise<{ file: ArtifactFile; shards: readonly Shard[] }> {
  const file = join(folder, `out-${split}.jsonl`);
  const hash = createHash("sha256");
  const cutter = new ShardCutter();
  let bytes = 0;
  const out: FileHandle = await open(file, "w");
  try {
    for (const { splits } of written) {
      const { path } = splits[index]!;
      const data = await readFile(path);
      hash.update(data);
      cutter.add(data);
      bytes += data.byteLength;
      await out.writeFile(data);
      await rm(path);
    }
  } finally {
    await out.close();
  }
  const digest = `sha256:${hash.digest("hex")}`;
  return { file: { path: `${split}.jsonl`, file, digest, bytes }, shards: cutter.finish() };
}

async function parquetFiles(
  { format }: DatasetSpec,
  split: string,
  lines: string,
  shards: readonly Shard[],
  folder: string,
  pool: Pool,
): Promise<ArtifactFile[]> {
  const files: ArtifactFile[] = [];
  let next = 0;
  // As many at a time as there are threads: each holds its part in memory.
  const workers = Array.from({ length: Math.max(1, pool.width - 1) }, async () => {
    for (let i = next++; i < shards.length; i = next++) {
      const path = shardName(split, i, shards.length);
      const out = join(folder, `out-${path}`);
      files.push({
        path,
        file: out,
        ...(await pool.run({ type: "parquet", format, lines, shard: shards[i]!, out })),
      });
    }
  });
  await Promise.all(workers);
  return files;
}

/** The file as bytes, for tests and small files. */
export async function bytesOf({ file }: ArtifactFile): Promise<Uint8Array> {
  const { size } = await stat(file);
  const chunks: Uint8Array[] = [];
  for await (const chunk of createReadStream(file)) chunks.push(chunk as Uint8Array);
  return new Uint8Array(Buffer.concat(chunks, size));
}
