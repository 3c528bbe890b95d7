import { Hashes, hashWord, hashWords } from "./words.ts";

/**
 * Sketches for near-duplicates: MinHash with locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman, Ullman,
 * "Mining of Massive Datasets", ch. 3). The sketch is the one of Dahlgaard, Knudsen and Thorup, "Fast Similarity
 * Sketching" (FOCS 2017): it estimates as well as one permutation for each slot does, and takes a few passes over the
 * shingles instead of one for each slot. A pair of similarity s shares a band with a probability of 1-(1-s^5)^25: 0.99
 * for 0.7, 0.9999 for 0.8 (datatrove's 14 bands of 8: 0.57 and 0.92).
 */
export const BANDS = 25;
const ROWS = 5;
const SLOTS = 128;
const EMPTY = 0x7fffffff;

/** The finalizer of MurmurHash3 (Appleby). */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

// An odd multiplier for each round, from one fixed sequence: the same rows are found on every machine.
const MULTIPLIERS = new Uint32Array(2 * SLOTS);
for (let i = 0, seed = 1; i < 2 * SLOTS; i++) {
  seed = mix(seed + 0x9e3779b9);
  MULTIPLIERS[i] = seed | 1;
}

const ROLL = 0x01000193;

/** Hashes of the n-grams of hashed words; of fewer words, of all of them as one. In order, some perhaps twice. */
function hashShingles(words: Hashes, ngram: number, into: Hashes): void {
  const { values, length } = words;
  const size = Math.min(ngram, length);
  if (size === 0) return;
  into.reserve(length - size + 1);
  const out = into.values;
  let power = 1;
  let hash = 0;
  for (let i = 0; i < size; i++) {
    hash = (Math.imul(hash, ROLL) + values[i]!) | 0;
    power = Math.imul(power, ROLL);
  }
  out[0] = mix(hash);
  // A polynomial of the words: the next comes in, the first goes out.
  for (let end = size; end < length; end++) {
    hash = (Math.imul(hash, ROLL) + values[end]! - Math.imul(values[end - size]!, power)) | 0;
    out[end - size + 1] = mix(hash);
  }
  into.length = length - size + 1;
}

/** Works on one row after the other; what it returns holds until the next. */
export class Sketcher {
  readonly #ngram: number;
  readonly #words = new Hashes();
  readonly #shingles = new Hashes();
  readonly #minima = new Int32Array(SLOTS);

  constructor(ngram: number) {
    this.#ngram = ngram;
  }

  /**
   * Writes the keys of a text's bands, one every `stride`. Rows with an equal key in the same band are candidates.
   * @returns false for a text without words, which is like no other
   */
  keys(text: string, into: Uint32Array, at: number, stride: number): boolean {
    const { values, length } = this.#shinglesOf(text);
    return this.keysOf(values, length, into, at, stride);
  }

  /** The same of shingles. */
  keysOf(shingles: Uint32Array, count: number, into: Uint32Array, at: number, stride: number): boolean {
    if (count === 0) return false;
    this.#sketch(shingles, count);
    const minima = this.#minima;
    for (let band = 0; band < BANDS; band++) {
      let key = band;
      for (let row = band * ROWS; row < (band + 1) * ROWS; row++)
        key = mix((key ^ minima[row]!) + 0x9e3779b9);
      into[at + band * stride] = key;
    }
    return true;
  }

  /** Shingles of the text that {@link keys} saw last, some perhaps twice. */
  get last(): Uint32Array {
    return this.#shingles.values.subarray(0, this.#shingles.length);
  }

  /** The shingles of a text, sorted, each once. */
  shingles(text: string): Uint32Array {
    const { values, length } = this.#shinglesOf(text);
    return sortedSet(values.slice(0, length));
  }

  #shinglesOf(text: string): Hashes {
    this.#words.length = 0;
    hashWords(text, this.#words);
    this.#shingles.length = 0;
    hashShingles(this.#words, this.#ngram, this.#shingles);
    return this.#shingles;
  }

  /**
   * Each slot holds its least hash of the first round in which one fell into it: the round in the upper bits, 9 bits of
   * the hash below. One hash serves two rounds. The last rounds fill one slot each, so that none stays empty.
   */
  #sketch(shingles: Uint32Array, count: number): void {
    const minima = this.#minima.fill(EMPTY);
    let empty = SLOTS;
    for (let round = 0; empty > 0 && round < SLOTS; round += 2) {
      const multiplier = MULTIPLIERS[round]!;
      for (let i = 0; i < count; i++) {
        let hash = Math.imul(shingles[i]!, multiplier);
        hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
        hash ^= hash >>> 13;
        const slot = hash >>> 25;
        const value = (round << 9) | ((hash >>> 16) & 0x1ff);
        const known = minima[slot]!;
        if (value < known) {
          if (known === EMPTY) empty--;
          minima[slot] = value;
        }
        const slot2 = (hash >>> 9) & 0x7f;
        const value2 = ((round + 1) << 9) | (hash & 0x1ff);
        const known2 = minima[slot2]!;
        if (value2 < known2) {
          if (known2 === EMPTY) empty--;
          minima[slot2] = value2;
        }
      }
    }
    for (let slot = 0; empty > 0 && slot < SLOTS; slot++) {
      if (minima[slot] !== EMPTY) continue;
      const multiplier = MULTIPLIERS[SLOTS + slot]!;
      for (let i = 0; i < count; i++) {
        const value = ((SLOTS + slot) << 9) | (mix(Math.imul(shingles[i]!, multiplier)) & 0x1ff);
        if (value < minima[slot]!) minima[slot] = value;
      }
      empty--;
    }
  }
}

function sortedSet(values: Uint32Array): Uint32Array {
  const sorted = values.sort();
  let count = 0;
  for (let i = 0; i < sorted.length; i++)
    if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i]!;
  return sorted.subarray(0, count);
}

/** The n-grams of words as a sorted set of hashes; of a row with fewer words, all of them as one. */
export function shingles(words: readonly string[], ngram: number): Uint32Array {
  const hashed = new Hashes();
  for (const word of words) hashed.push(hashWord(word));
  const found = new Hashes();
  hashShingles(hashed, ngram, found);
  return sortedSet(found.values.slice(0, found.length));
}

/** A set of hashes that is made anew for each row, in a table that stays. */
export class HashSet {
  #table = new Uint32Array(256);
  #marks = new Uint32Array(256);
  #mark = 0;
  size = 0;

  /** Becomes the set of these; each is also added to `distinct`, once. */
  assign(elements: Uint32Array, distinct?: Hashes): void {
    distinct?.reserve(distinct.length + elements.length);
    let slots = this.#table.length;
    while (slots < elements.length * 2) slots *= 2;
    if (slots > this.#table.length || this.#mark === 0xffffffff) {
      this.#table = new Uint32Array(slots);
      this.#marks = new Uint32Array(slots);
      this.#mark = 0;
    }
    this.#mark++;
    this.size = 0;
    for (const element of elements) {
      const slot = this.#slotOf(element);
      if (this.#marks[slot] === this.#mark) continue;
      this.#table[slot] = element;
      this.#marks[slot] = this.#mark;
      this.size++;
      if (distinct) distinct.values[distinct.length++] = element;
    }
  }

  /** Jaccard similarity with another set, given as its elements, each once. */
  jaccard(other: Uint32Array): number {
    let shared = 0;
    for (const element of other) if (this.#marks[this.#slotOf(element)] === this.#mark) shared++;
    const all = this.size + other.length - shared;
    return all === 0 ? 1 : shared / all;
  }

  #slotOf(element: number): number {
    const last = this.#table.length - 1;
    let slot = element & last;
    while (this.#marks[slot] === this.#mark && this.#table[slot] !== element) slot = (slot + 1) & last;
    return slot;
  }
}

/** Similarity of two sorted sets: shared over all; 1 for two empty ones. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      shared++;
      i++;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  const all = a.length + b.length - shared;
  return all === 0 ? 1 : shared / all;
}
