import { BANDS, ShingleSet, Sketcher } from "./minhash.ts";
import { type KeyFiles, readColumn } from "./spool.ts";

/** Representatives of a bucket that a row is compared with: more is a bucket of a common phrase, and quadratic. */
const MAX_COMPARED = 32;
/** Pairs that are known to be unlike; a power of two. */
const KNOWN = 1 << 16;

export interface BucketTask {
  readonly keys: KeyFiles;
  /** Column of the band. */
  readonly column: number;
  /** 0 for rows that count. */
  readonly left: Uint8Array;
  /** Of the clusters so far, which grow meanwhile. */
  readonly parents: Uint32Array;
}

/**
 * The rows that share a band's key: for each key of two rows and more their number, then the rows in order. Where they
 * are in one cluster already there is nothing to compare, and they are left out.
 */
export function buckets({ keys, column, left, parents }: BucketTask): Uint32Array {
  return withoutClusters(bucketsOf(readColumn(keys, column, 1), left), parents);
}

function withoutClusters(groups: Uint32Array, parents: Uint32Array): Uint32Array {
  let length = 0;
  for (let at = 0; at < groups.length; ) {
    const end = at + groups[at]! + 1;
    if (areOne(parents, groups, at + 1, end)) at = end;
    else while (at < end) groups[length++] = groups[at++]!;
  }
  return groups.slice(0, length);
}

/** Whether rows from one place to another of a list are in one cluster. */
function areOne(parents: Uint32Array, rows: Uint32Array, start: number, end: number): boolean {
  const first = rootOf(parents, rows[start]!);
  for (let i = start + 1; i < end; i++) if (rootOf(parents, rows[i]!) !== first) return false;
  return true;
}

/** The first row of a row's cluster. Others may join clusters meanwhile: none ever comes apart. */
function rootOf(parents: Uint32Array, row: number): number {
  let root = row;
  for (let parent = parents[root]!; parent !== root; parent = parents[root]!) root = parent;
  return root;
}

/** So many rows, about, are in tables together: they stay small, and near the processor. */
const PART_ROWS = 1 << 17;

/** By parts of all values, each for itself; how many there are depends on the number of rows alone. */
function bucketsOf(values: Uint32Array, left: Uint8Array): Uint32Array {
  let bits = 0;
  while (values.length > PART_ROWS * 2 ** bits) bits++;
  if (bits === 0) return bucketsOfPart(values, remaining(left));
  const parts = partsOf(values, left, bits).map((rows) => bucketsOfPart(values, rows));
  const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The rows that count, in order. */
function remaining(left: Uint8Array): Uint32Array {
  const rows = new Uint32Array(left.length);
  let count = 0;
  for (let row = 0; row < left.length; row++) {
    rows[count] = row;
    count += 1 - left[row]!;
  }
  return rows.subarray(0, count);
}

/** The same, apart by the upper bits of their values. */
function partsOf(values: Uint32Array, left: Uint8Array, bits: number): Uint32Array[] {
  const shift = 32 - bits;
  const ends = new Uint32Array(2 ** bits);
  for (let row = 0; row < values.length; row++) if (left[row] === 0) ends[values[row]! >>> shift]!++;
  for (let part = 1; part < ends.length; part++) ends[part]! += ends[part - 1]!;
  const places = Uint32Array.from(ends, (_, part) => (part === 0 ? 0 : ends[part - 1]!));
  const starts = places.slice();
  const rows = new Uint32Array(ends.at(-1)!);
  for (let row = 0; row < values.length; row++)
    if (left[row] === 0) rows[places[values[row]! >>> shift]!++] = row;
  return Array.from(ends, (end, part) => rows.subarray(starts[part]!, end));
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
  /** Of each row another of its cluster that stands before it, or itself. Shared, as threads look at it. */
  readonly parents: Uint32Array;
  readonly #threshold: number;
  readonly #read: (row: number) => Uint32Array;
  readonly #set: ShingleSet;
  #assigned = -1;
  /** Pairs that were found unlike: they may share more bands than one. A later one takes an earlier one's place. */
  readonly #unlikeRow = new Uint32Array(KNOWN);
  readonly #unlikeOther = new Uint32Array(KNOWN);

  /**
   * @param shingles of a row, each once
   * @param longest how many a row has at most
   */
  constructor(rows: number, threshold: number, shingles: (row: number) => Uint32Array, longest: number) {
    this.parents = new Uint32Array(new SharedArrayBuffer(rows * 4));
    for (let i = 0; i < rows; i++) this.parents[i] = i;
    this.#threshold = threshold;
    this.#read = shingles;
    this.#set = new ShingleSet(longest);
  }

  /** The first row of a row's cluster. */
  first(row: number): number {
    const { parents } = this;
    const root = rootOf(parents, row);
    for (let at = row; parents[at] !== root; ) {
      const next = parents[at]!;
      parents[at] = root;
      at = next;
    }
    return root;
  }

  /** @param groups as {@link buckets} returns them; bands in order, so that the result is always the same */
  join(groups: Uint32Array): void {
    const others: number[] = [];
    for (let at = 0; at < groups.length; at += groups[at]! + 1) {
      const end = at + groups[at]! + 1;
      if (areOne(this.parents, groups, at + 1, end)) continue;
      others.length = 0;
      for (let i = at + 1; i < end; i++) this.#compare(groups[i]!, others);
    }
  }

  /** One representative of each cluster in the bucket suffices, so that many equal rows cost no square. */
  #compare(row: number, others: number[]): void {
    let mine = this.first(row);
    let alone = true;
    for (const other of others) {
      const root = this.first(other);
      if (root !== mine) {
        if (!this.#areLike(row, other)) continue;
        // The earlier row leads, whatever the order of bands.
        this.parents[Math.max(root, mine)] = Math.min(root, mine);
        mine = Math.min(root, mine);
      }
      alone = false;
    }
    if (alone && others.length < MAX_COMPARED) others.push(row);
  }

  #areLike(row: number, other: number): boolean {
    const known = (Math.imul(row, 0x9e3779b1) ^ other) & (KNOWN - 1);
    if (this.#unlikeRow[known] === row && this.#unlikeOther[known] === other) return false;
    if (this.#assigned !== row) this.#set.assign(this.#read(row));
    this.#assigned = row;
    if (this.#set.jaccard(this.#read(other)) >= this.#threshold) return true;
    this.#unlikeRow[known] = row;
    this.#unlikeOther[known] = other;
    return false;
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
  const longest = rows.reduce((most, { length }) => Math.max(most, length), 0);
  const clusters = new Clusters(rows.length, threshold, (row) => rows[row]!, longest);
  const empty = Uint8Array.from(rows, ({ length }) => (length === 0 ? 1 : 0));
  for (let band = 0; band < BANDS; band++) {
    const values = keys.subarray(band * rows.length, (band + 1) * rows.length);
    clusters.join(bucketsOf(values, empty));
  }
  return Uint32Array.from(rows, (_, row) => clusters.first(row));
}
