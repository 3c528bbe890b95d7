import { BANDS, ShingleSet, Sketcher } from "./minhash.ts";
import { type KeyFiles, readColumn } from "./spool.ts";

/** Representatives of a bucket that a row is compared with: more is a bucket of a common phrase, and quadratic. */
const MAX_COMPARED = 32;

export interface BucketTask {
  readonly keys: KeyFiles;
  /** Column of the band. */
  readonly column: number;
  /** 0 for rows that count. */
  readonly left: Uint8Array;
}

/** The rows that share a band's key: for each key of two rows and more their number, then the rows in order. */
export function buckets({ keys, column, left }: BucketTask): Uint32Array {
  return bucketsOf(readColumn(keys, column, 1), left);
}

/** So many rows, about, are in tables together: they stay small, and near the processor. */
const PART_ROWS = 1 << 17;

/** By parts of all values, each for itself; how many there are depends on the number of rows alone. */
function bucketsOf(values: Uint32Array, left: Uint8Array): Uint32Array {
  let bits = 0;
  while (values.length > PART_ROWS * 2 ** bits) bits++;
  const parts: Uint32Array[] = [];
  for (const rows of partsOf(values, left, bits)) parts.push(bucketsOfPart(values, rows));
  const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The rows that count, in order, apart by the upper bits of their values. */
function* partsOf(values: Uint32Array, left: Uint8Array, bits: number): Generator<Uint32Array> {
  const partOf = (row: number) => (bits === 0 ? 0 : values[row]! >>> (32 - bits));
  const ends = new Uint32Array(2 ** bits);
  for (let row = 0; row < values.length; row++) if (left[row] === 0) ends[partOf(row)]!++;
  for (let part = 1; part < ends.length; part++) ends[part]! += ends[part - 1]!;
  const places = Uint32Array.from(ends, (_, part) => (part === 0 ? 0 : ends[part - 1]!));
  const starts = places.slice();
  const rows = new Uint32Array(ends.at(-1)!);
  for (let row = 0; row < values.length; row++) if (left[row] === 0) rows[places[partOf(row)]!++] = row;
  for (const [part, end] of ends.entries()) yield rows.subarray(starts[part]!, end);
}

function bucketsOfPart(values: Uint32Array, rows: Uint32Array): Uint32Array {
  const several = repeated(values, rows);
  let size = 16;
  while (size < several.length * 2) size *= 2;
  // Open addressing: a slot holds the place of the first row of its key, plus one.
  const table = new Uint32Array(size);
  const firsts = new Uint32Array(several.length);
  const counts = new Uint32Array(several.length);
  for (let i = 0; i < several.length; i++) {
    const value = values[several[i]!]!;
    let slot = (value ^ (value >>> 16)) & (size - 1);
    while (table[slot] !== 0 && values[several[table[slot]! - 1]!] !== value) slot = (slot + 1) & (size - 1);
    if (table[slot] === 0) table[slot] = i + 1;
    firsts[i] = table[slot]! - 1;
    counts[firsts[i]!]!++;
  }
  // From here on the first row's count is where its bucket begins, plus one; 0 for a row that is alone.
  let length = 0;
  for (let i = 0; i < several.length; i++) {
    const count = counts[i]!;
    counts[i] = count < 2 ? 0 : length + 1;
    if (count >= 2) length += count + 1;
  }
  const groups = new Uint32Array(length);
  for (let i = 0; i < several.length; i++) {
    const begin = counts[firsts[i]!]!;
    if (begin === 0) continue;
    const at = begin - 1;
    groups[at]!++;
    groups[at + groups[at]!] = several[i]!;
  }
  return groups;
}

/**
 * Rows whose value another one may have, in order. Most rows are like no other: two bits for each value, in a table
 * that stays in the processor's cache, tell that of nearly all of them. They are moved to the front.
 */
function repeated(values: Uint32Array, rows: Uint32Array): Uint32Array {
  let places = 1 << 16;
  while (places < rows.length * 8) places *= 2;
  const mask = places - 1;
  // The bits of 16 places in a word: the lower one is set by the first row, the upper one by the next.
  const seen = new Uint32Array(places >>> 4);
  for (let i = 0; i < rows.length; i++) {
    const place = values[rows[i]!]! & mask;
    const word = seen[place >>> 4]!;
    const once = 1 << ((place & 15) << 1);
    seen[place >>> 4] = word | once | ((word & once) << 1);
  }
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    const place = values[rows[i]!]! & mask;
    if ((seen[place >>> 4]! & (2 << ((place & 15) << 1))) !== 0) rows[count++] = rows[i]!;
  }
  return rows.subarray(0, count);
}

/**
 * Clusters of near-duplicates: rows that are similar, directly or over others. Each candidate is compared exactly, so
 * that every pair found is one; only pairs that share no band are missed.
 */
export class Clusters {
  readonly #parent: Uint32Array;
  readonly #threshold: number;
  readonly #read: (row: number) => Uint32Array;
  readonly #set = new ShingleSet();
  #assigned = -1;

  /** @param shingles of a row, each once */
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
    let mine = this.first(row);
    let alone = true;
    for (const other of others) {
      const root = this.first(other);
      if (root !== mine) {
        if (this.#similarity(row, other) < this.#threshold) continue;
        // The earlier row leads, whatever the order of bands.
        this.#parent[Math.max(root, mine)] = Math.min(root, mine);
        mine = Math.min(root, mine);
      }
      alone = false;
    }
    if (alone && others.length < MAX_COMPARED) others.push(row);
  }

  #similarity(row: number, other: number): number {
    if (this.#assigned !== row) this.#set.assign(this.#read(row));
    this.#assigned = row;
    return this.#set.jaccard(this.#read(other));
  }
}

/**
 * Which cluster each row belongs to, of rows in memory: the index of its first row.
 * @param rows shingles of each, each once
 * @param threshold least Jaccard similarity
 */
export function nearClusters(rows: readonly Uint32Array[], threshold: number): Uint32Array {
  const sketcher = new Sketcher();
  const keys = new Uint32Array(BANDS * rows.length);
  for (const [i, row] of rows.entries()) if (row.length > 0) sketcher.keysOf(row, keys, i, rows.length);
  const clusters = new Clusters(rows.length, threshold, (row) => rows[row]!);
  const empty = Uint8Array.from(rows, ({ length }) => (length === 0 ? 1 : 0));
  for (let band = 0; band < BANDS; band++) {
    const values = keys.subarray(band * rows.length, (band + 1) * rows.length);
    clusters.join(bucketsOf(values, empty));
  }
  return Uint32Array.from(rows, (_, row) => clusters.first(row));
}
