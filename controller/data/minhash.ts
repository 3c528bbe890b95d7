import type { FlatReader } from "./flat.ts";
import { Kernel } from "./kernel/kernel.ts";
import { Hashes } from "./words.ts";

/**
 * Sketches for near-duplicates: MinHash with locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman, Ullman,
 * "Mining of Massive Datasets", ch. 3). The sketch is that of Dahlgaard, Knudsen and Thorup, "Fast Similarity
 * Sketching" (FOCS 2017), with three rounds: a pass over the shingles fills most slots, and those that stay empty get
 * a permutation of their own. A pair of similarity s shares a band with a probability of 1-(1-s^5)^25: 0.99 for 0.7,
 * 0.9999 for 0.8 (datatrove's 14 bands of 8: 0.57 and 0.92).
 */
export const BANDS = 25;

/** Works on one row after the other; what it returns holds until the next. */
export class Sketcher {
  readonly #kernel = new Kernel();

  /** @returns how many shingles the texts of a row have; none for a row without words, which is like no other */
  read(texts: readonly string[], ngram: number): number {
    return this.#kernel.read(texts, ngram);
  }

  readFlat(row: FlatReader, ngram: number): number {
    return this.#kernel.readFlat(row, ngram);
  }

  /**
   * Writes the keys of the bands of the row that was read last, one every `stride`. Rows with an equal key in the same
   * band are candidates.
   * @param count of its shingles
   */
  keys(count: number, into: Uint32Array, at: number, stride: number): void {
    if (count > 0) this.#kernel.bands(count, BANDS, into, at, stride);
  }

  /** Adds the shingles of the row that was read last, each once; its keys are to be had before. */
  addTo(shingles: Hashes, count: number): void {
    this.#kernel.addTo(shingles, this.#kernel.distinct(count));
  }

  /** The same of shingles, one at least. */
  keysOf(shingles: Uint32Array, into: Uint32Array, at: number, stride: number): void {
    this.#kernel.load(shingles);
    this.keys(shingles.length, into, at, stride);
  }

  /** The shingles of texts, each once. */
  shingles(texts: readonly string[], ngram: number): Uint32Array {
    const shingles = new Hashes();
    this.addTo(shingles, this.#kernel.read(texts, ngram));
    return shingles.values.slice(0, shingles.length);
  }
}

/** A set of shingles that others are compared with. */
export class ShingleSet {
  readonly #kernel = new Kernel();
  #size = 0;

  /** @param longest of all lists that are to come: a set would be lost when another needs more room */
  constructor(longest: number) {
    this.#kernel.makeRoom(longest);
  }

  /** Becomes the set of these, each there once. */
  assign(shingles: Uint32Array): void {
    this.#kernel.load(shingles);
    this.#size = this.#kernel.distinct(shingles.length);
  }

  /** Jaccard similarity with another set: shared over all; 1 for two empty ones. */
  jaccard(other: Uint32Array): number {
    this.#kernel.load(other);
    const shared = this.#kernel.shared(other.length);
    const all = this.#size + other.length - shared;
    return all === 0 ? 1 : shared / all;
  }
}
