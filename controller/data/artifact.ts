import type { ArtifactManifest } from "../../schemas/artifact.ts";
import type { DatasetSpec } from "../../schemas/dataset.ts";
import { blobDigest, canonicalJson, type Json } from "../graph/canonical.ts";
import { datasetCard } from "./card.ts";
import { parquetOf } from "./parquet.ts";
import type { Prepared } from "./prepare.ts";
import { lineOf } from "./row.ts";

export interface DatasetArtifact {
  readonly manifest: ArtifactManifest;
  /** Digest of the manifest, which is the artifact's. */
  readonly digest: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly bytes: number;
}

/**
 * The files of a prepared Dataset and the manifest that lists them, whose digest stands for all of them.
 */
export function datasetArtifact(name: string, spec: DatasetSpec, prepared: Prepared): DatasetArtifact {
  const files = new Map<string, Uint8Array>();
  const text = (path: string, content: string) => files.set(path, new TextEncoder().encode(content));
  for (const split of prepared.splits) {
    const rows = split.rows.map(({ row }) => row);
    text(`${split.name}.jsonl`, rows.map((row) => `${lineOf(row)}\n`).join(""));
    files.set(`${split.name}.parquet`, parquetOf(spec.format, rows));
  }
  const splits = prepared.splits.map(({ name: split, rows }) => ({ name: split, rows: rows.length }));
  const { read, steps, piiRows, words, lengths } = prepared;
  text("stats.json", `${canonicalJson({ read, steps, splits, piiRows, words, lengths })}\n`);
  text("README.md", datasetCard(name, spec, prepared));
  const listed = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const manifest: ArtifactManifest = {
    version: 1,
    type: "dataset",
    files: listed.map(([path, data]) => ({ path, digest: blobDigest(data), bytes: data.byteLength })),
    metadata: { format: spec.format, splits: splits as unknown as Json },
  };
  const bytes = listed.reduce((sum, [, data]) => sum + data.byteLength, 0);
  return { manifest, digest: blobDigest(canonicalJson(manifest)), files, bytes };
}
