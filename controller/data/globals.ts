import { type FileName, originOf } from "./chunk.ts";
import { columnsOf } from "./keys.ts";
import { BANDS } from "./minhash.ts";
import { Clusters } from "./near.ts";
import type { Global, PrepareSpec } from "./passes.ts";
import type { Pool } from "./pool.ts";
import { type KeyFiles, KeyLists, readColumn, type SpooledRows } from "./spool.ts";
import { SAMPLES, type StepCount, Tally } from "./tally.ts";

/** All rows of a pass. */
export interface PassRows {
  readonly rows: SpooledRows;
  readonly files: readonly FileName[];
  readonly spec: PrepareSpec;
  /** 1 for a row that is dropped; shared with the threads. */
  readonly dropped: Uint8Array;
  /** Source of each row, where a step asks for it. */
  readonly sources: () => Uint8Array;
}

/** Runs a global step over the rows that are still there. */
export async function runGlobal(
  global: Global,
  keys: KeyFiles,
  pass: PassRows,
  pool: Pool,
): Promise<StepCount> {
  const tally = new Tally();
  const drop = (row: number, reason: () => string) => {
    pass.dropped[row] = 1;
    // A sample needs the row; the others only count.
    if (tally.samples.length < SAMPLES) tally.drop(() => originOf(pass.files, pass.rows.read(row)), reason());
    else tally.dropped++;
  };
  const place = (row: number) => originOf(pass.files, pass.rows.read(row));
  for (const dropped of pass.dropped) if (dropped === 0) tally.rows++;
  switch (global.type) {
    case "exactDedup":
      dropEqual(readColumn(keys, 0, columnsOf(global).words), pass.dropped, (row, first) =>
        drop(row, () => `the same as ${place(first)}`),
      );
      break;
    case "nearDedup": {
      const clusters = await clustersOf(global, keys, pass, columnsOf(global).columns, pool);
      for (let row = 0; row < pass.dropped.length; row++) {
        const first = clusters.first(row);
        if (first !== row) drop(row, () => `like ${place(first)}`);
      }
      break;
    }
    case "sample": {
      const kept = least(readColumn(keys, 0, 2), alive(pass.dropped), global.rows);
      for (const row of alive(pass.dropped)) if (!kept.has(row)) drop(row, () => "not drawn");
      break;
    }
    case "aggregate": {
      const kept = mixed(global, readColumn(keys, 0, 2), pass);
      for (const row of alive(pass.dropped)) if (!kept.has(row)) drop(row, () => "not drawn");
      break;
    }
    case "split":
      throw new TypeError("a split drops nothing");
  }
  const name = global.step;
  return tally.named(name);
}

/** Which split each row falls into: a cluster of near-duplicates as a whole, by the digest of its first row. */
export async function splitsOf(
  global: Global & { type: "split" },
  keys: KeyFiles,
  pass: PassRows,
  pool: Pool,
): Promise<Uint8Array> {
  const clusters = await clustersOf(global, keys, pass, columnsOf(global).columns, pool);
  const places = readColumn(keys, 1 + BANDS, 1);
  return places.reduce((splits, _, row) => {
    splits[row] = splitAt(pass.spec.splits, (places[clusters.first(row)]! / 2 ** 32) * 100);
    return splits;
  }, new Uint8Array(places.length));
}

/** @param place from 0 up to 100 */
function splitAt(splits: PrepareSpec["splits"], place: number): number {
  let upTo = 0;
  for (const [at, { percent }] of splits.entries()) {
    upTo += percent;
    if (place < upTo) return at;
  }
  return splits.length - 1;
}

/** Clusters of the rows that are still there. */
export async function clustersOf(
  { threshold }: { readonly threshold: number },
  keys: KeyFiles,
  { dropped }: PassRows,
  columns: number,
  pool: Pool,
): Promise<Clusters> {
  const ends = readColumn(keys, 0, 1);
  // Shared, as every thread reads it.
  const left = new Uint8Array(new SharedArrayBuffer(dropped.length));
  let longest = 0;
  for (let row = 0, chunk = 0, at = 0; row < left.length; row++, at++) {
    while (at === keys.rows[chunk]) {
      chunk++;
      at = 0;
    }
    const length = ends[row]! - (at === 0 ? 0 : ends[row - 1]!);
    if (length > longest) longest = length;
    // Rows without words are like no other.
    left[row] = dropped[row] !== 0 || length === 0 ? 1 : 0;
  }
  using lists = new KeyLists(keys, ends, columns);
  const clusters = new Clusters(dropped.length, threshold, (row) => lists.read(row), longest);
  // Threads find the buckets of the next bands while this one compares those of the last.
  const ahead: Promise<Uint32Array>[] = [];
  for (let band = 0; band < BANDS + pool.width; band++) {
    if (band < BANDS) {
      const found = pool.run({ type: "buckets", keys, column: 1 + band, left, parents: clusters.parents });
      found.catch(() => {});
      ahead.push(found);
    }
    if (band >= pool.width - 1 && ahead.length > 0) clusters.join(await ahead.shift()!);
  }
  return clusters;
}

/** @param keys four words a row */
function dropEqual(keys: Uint32Array, dropped: Uint8Array, drop: (row: number, first: number) => void): void {
  const rows = dropped.length;
  let size = 16;
  while (size < rows * 2) size *= 2;
  const table = new Uint32Array(size);
  const same = (a: number, b: number) =>
    keys[a * 4] === keys[b * 4] &&
    keys[a * 4 + 1] === keys[b * 4 + 1] &&
    keys[a * 4 + 2] === keys[b * 4 + 2] &&
    keys[a * 4 + 3] === keys[b * 4 + 3];
  for (let row = 0; row < rows; row++) {
    if (dropped[row] !== 0) continue;
    let slot = keys[row * 4]! & (size - 1);
    while (table[slot] !== 0 && !same(table[slot]! - 1, row)) slot = (slot + 1) & (size - 1);
    if (table[slot] === 0) table[slot] = row + 1;
    else drop(row, table[slot]! - 1);
  }
}

function alive(dropped: Uint8Array): number[] {
  const rows: number[] = [];
  for (let row = 0; row < dropped.length; row++) if (dropped[row] === 0) rows.push(row);
  return rows;
}

/** The rows with the least keys: evenly drawn, and the same for the same rows in any order. */
function least(keys: Uint32Array, rows: readonly number[], count: number): Set<number> {
  const ranked = [...rows].sort(
    (a, b) => keys[a * 2]! - keys[b * 2]! || keys[a * 2 + 1]! - keys[b * 2 + 1]! || a - b,
  );
  return new Set(ranked.slice(0, count));
}

/** As many rows as can be had with the shares, none twice. */
function mixed(global: Global & { type: "aggregate" }, keys: Uint32Array, pass: PassRows): Set<number> {
  const sources = pass.sources();
  const bySource = pass.spec.sources.map((): number[] => []);
  for (const row of alive(pass.dropped)) bySource[sources[row]!]!.push(row);
  const whole = global.shares.reduce((sum, { share }) => sum + share, 0);
  const parts = global.shares.map(({ source, share }) => ({
    share: share / whole,
    rows: bySource[pass.spec.sources.findIndex(({ name }) => name === source)] ?? [],
  }));
  const total = Math.min(global.rows ?? Infinity, ...parts.map(({ share, rows }) => rows.length / share));
  return new Set(
    // A hair more before it is rounded down: 0.3 * 10 is 2.9999999999999996.
    parts.flatMap(({ share, rows }) => [...least(keys, rows, Math.floor(share * total + 1e-9))]),
  );
}
