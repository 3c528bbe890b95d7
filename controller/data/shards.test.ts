import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { blobDigest } from "../graph/canonical.ts";
import { asyncBufferFrom, parquetReadObjects } from "./parquet.ts";
import { ShardCutter, writeParquet } from "./shards.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-shards-"));
});
afterEach(() => rm(folder, { recursive: true }));

const write = async (rows: readonly object[]) => {
  const data = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const lines = join(folder, "rows.jsonl");
  await writeFile(lines, data);
  const cutter = new ShardCutter();
  cutter.add(data);
  return cutter.finish().map((shard, i) => {
    const out = join(folder, `${i}.parquet`);
    return { out, shard, ...writeParquet({ format: "completion", lines, shard, out }) };
  });
};
const row = (prompt: string, i: number) => ({ completion: `c${i}`, prompt });

test("a shard holds the rows of its lines in order, however many row groups it takes", async () => {
  const rows = Array.from({ length: 9_000 }, (_, i) => row("x".repeat(1_000), i));
  rows.splice(5_000, 0, row("long".repeat(3 << 20), -1));
  const [shard, ...others] = await write(rows);
  expect(others).toEqual([]);
  const written = await readFile(shard!.out);
  expect({ digest: shard!.digest, bytes: shard!.bytes }).toEqual({
    digest: blobDigest(written),
    bytes: written.byteLength,
  });
  expect(await parquetReadObjects(asyncBufferFrom(written))).toEqual(rows);
});

test("shards together hold all lines, and none may be empty but the only one", async () => {
  const rows = Array.from({ length: 50_001 }, (_, i) => row("a", i));
  const shards = await write(rows);
  const read = await Promise.all(
    shards.map(async ({ out }) => parquetReadObjects(asyncBufferFrom(await readFile(out)))),
  );
  expect(read.map(({ length }) => length)).toEqual([50_000, 1]);
  expect(read.flat()).toEqual(rows);
  const [empty] = await write([]);
  expect(empty!.shard.rows).toBe(0);
  expect(await parquetReadObjects(asyncBufferFrom(await readFile(empty!.out)))).toEqual([]);
});
