import { BANDS, jaccard, Sketcher } from "./minhash.ts";
import { type KeyFiles, readColumn } from "./spool.ts";

/** Representatives of a bucket that a row is compared with: more is a bucket of a common phrase, and quadratic. */
const MAX_COMPARED = 32;
const MAX_CACHED = 4_096;

export interface BucketTask {
  readonly keys: KeyFiles;
  /** Column of the band; column 0 says which rows have words. */
  readonly column: number;
  /** 0 for rows that are still there. */
  readonly dropped: Uint8Array;
}

/** The rows that share a band's key: for each key of two rows and more their number, then the rows in order. */
export function buckets({ keys, column, dropped }: BucketTask): Uint32Array {
  const hasWords = readColumn(keys, 0, 1);
  return bucketsOf(readColumn(keys, column, 1), (row) => hasWords[row] !== 0 && dropped[row] === 0);
}

function bucketsOf(values: Uint32Array, taken: (row: number) => boolean): Uint32Array {
  const rows = values.length;
  let size = 16;
  while (size < rows * 2) size *= 2;
  // Open addressing: a slot holds the first row of its key, plus one.
  const table = new Uint32Array(size);
  const firsts = new Uint32Array(rows);
  const counts = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    firsts[row] = row;
    if (!taken(row)) continue;
    const value = values[row]!;
    let slot = (value ^ (value >>> 16)) & (size - 1);
    for (let at = table[slot]!; at !== 0 && values[at - 1] !== value; at = table[slot]!)
      slot = (slot + 1) & (size - 1);
    const first = table[slot] === 0 ? row : table[slot]! - 1;
    if (first === row) table[slot] = row + 1;
    firsts[row] = first;
    counts[first]!++;
  }
  let length = 0;
  // From here on the first row's count is where its next row goes, plus one; 0 for a row that is alone.
  for (let row = 0; row < rows; row++) {
    const count = counts[row]!;
    counts[row] = count < 2 ? 0 : length + 1;
    if (count >= 2) length += count + 1;
  }
  const groups = new Uint32Array(length);
  const begin = counts.slice();
  for (let row = 0; row < rows; row++) {
    const first = firsts[row]!;
    if (begin[first] === 0) continue;
    const at = begin[first]! - 1;
    groups[at]!++;
    groups[at + groups[at]!] = row;
  }
  return groups;
}

/**
 * Clusters of near-duplicates: rows that are similar, directly or over others. Each candidate is compared exactly, so
 * that every pair found is one; only pairs that share no band are missed.
 */
export class Clusters {
  readonly #parent: Uint32Array;
  readonly #threshold: number;
  readonly #read: (row: number) => Uint32Array;
  readonly #cache = new Map<number, Uint32Array>();

  /** @param shingles of a row, sorted */
  constructor(rows: number, threshold: number, shingles: (row: number) => Uint32Array) {
    this.#parent = new Uint32Array(rows);
    for (let i = 0; i < rows; i++) this.#parent[i] = i;
    this.#threshold = threshold;
    this.#read = shingles;
  }

  /** The first row of a row's cluster. */
  first(row: number): number {
    const parent = this.#parent;
    let root = row;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = row; parent[at] !== root; ) {
      const next = parent[at]!;
      parent[at] = root;
      at = next;
    }
    return root;
  }

  /** @param groups as {@link buckets} returns them; bands in order, so that the result is always the same */
  join(groups: Uint32Array): void {
    const others: number[] = [];
    for (let at = 0; at < groups.length; at += groups[at]! + 1) {
      others.length = 0;
      for (let i = at + 1; i <= at + groups[at]!; i++) this.#compare(groups[i]!, others);
    }
  }

  /** One representative of each cluster in the bucket suffices, so that many equal rows cost no square. */
  #compare(row: number, others: number[]): void {
    for (const other of others) {
      const mine = this.first(row);
      const root = this.first(other);
      if (root === mine || jaccard(this.#shingles(row), this.#shingles(other)) < this.#threshold) continue;
      // The earlier row leads, whatever the order of bands.
      this.#parent[Math.max(root, mine)] = Math.min(root, mine);
    }
    const mine = this.first(row);
    if (others.length < MAX_COMPARED && !others.some((other) => this.first(other) === mine)) others.push(row);
  }

  #shingles(row: number): Uint32Array {
    const known = this.#cache.get(row);
    if (known) return known;
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    const made = this.#read(row);
    this.#cache.set(row, made);
    return made;
  }
}

/**
 * Which cluster each row belongs to, of rows in memory: the index of its first row.
 * @param rows sorted shingles of each
 * @param threshold least Jaccard similarity
 */
export function nearClusters(rows: readonly Uint32Array[], threshold: number): Uint32Array {
  const sketcher = new Sketcher(1);
  const keys = new Uint32Array(BANDS * rows.length);
  for (const [i, row] of rows.entries()) sketcher.keysOf(row, row.length, keys, i, rows.length);
  const clusters = new Clusters(rows.length, threshold, (row) => rows[row]!);
  for (let band = 0; band < BANDS; band++) {
    const values = keys.subarray(band * rows.length, (band + 1) * rows.length);
    clusters.join(bucketsOf(values, (row) => rows[row]!.length > 0));
  }
  return Uint32Array.from(rows, (_, row) => clusters.first(row));
}
