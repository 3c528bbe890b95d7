import type { FlatReader } from "../flat.ts";
import { type Hashes, wordsOf } from "../words.ts";
import { instantiate } from "./instance.ts";

const LEAST_BYTES = 1 << 14;
/** UTF-8 of a UTF-16 unit. */
const MAX_UNIT_BYTES = 3;

/**
 * The arithmetic of near-duplicates in WebAssembly, on one list of shingles at a time: hashes of n-grams of words. The
 * list is what was read or loaded last.
 */
export class Kernel {
  readonly #exports = instantiate();
  #bytes = Buffer.alloc(0);
  #numbers = new Uint32Array(0);
  #room = 0;
  /** Addresses; of numbers as their index. */
  #text = 0;
  #shingles = 0;
  readonly #bands = this.#exports.bands.value / 4;

  constructor() {
    this.#reserve(LEAST_BYTES);
  }

  /** Reads texts as one. @param ngram at most 15. @returns how many shingles it has, some perhaps twice */
  read(texts: readonly string[], ngram: number): number {
    let units = texts.length;
    for (const text of texts) units += text.length;
    let length = this.#write(texts, units);
    if (length !== units) {
      // Beyond ASCII it takes Unicode to tell words: there they come one after the other, as words of ASCII would.
      const words = texts.flatMap(wordsOf).join(" ");
      length = this.#write([words], words.length + 1);
    }
    return this.#exports.shingle(length, ngram);
  }

  /** The same of a row that lies in a block; it is in ASCII. */
  readFlat(row: FlatReader, ngram: number): number {
    if (row.length > this.#room) this.#reserve(row.length);
    return this.#exports.shingle(row.copyTexts(this.#bytes, this.#text) - this.#text, ngram);
  }

  /** Makes room for so many shingles; what is remembered is lost when there was less. */
  makeRoom(shingles: number): void {
    if (shingles * 2 > this.#room) this.#reserve(shingles * 2);
  }

  load(shingles: Uint32Array): void {
    this.makeRoom(shingles.length);
    const numbers = this.#numbers;
    for (let from = 0, to = this.#shingles; from < shingles.length; from++) numbers[to++] = shingles[from]!;
  }

  /** Writes the keys of the bands of so many shingles, one every `stride`. */
  bands(count: number, bands: number, into: Uint32Array, at: number, stride: number): void {
    this.#exports.sketch(count);
    const numbers = this.#numbers;
    for (let band = 0; band < bands; band++) into[at + band * stride] = numbers[this.#bands + band]!;
  }

  /** Leaves each shingle once, in order, and remembers them. @returns how many are left */
  distinct(count: number): number {
    const left = this.#exports.distinct(count);
    // Its table may have grown.
    if (this.#numbers.length === 0) this.#look();
    return left;
  }

  /** Adds so many shingles to others. */
  addTo(shingles: Hashes, count: number): void {
    shingles.append(this.#numbers, this.#shingles, this.#shingles + count);
  }

  /** How many of so many shingles, each there once, are among those that are remembered. */
  shared(count: number): number {
    return this.#exports.shared(count);
  }

  /** @returns bytes, with one after each text */
  #write(texts: readonly string[], units: number): number {
    if (units * MAX_UNIT_BYTES > this.#room) {
      const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
      if (bytes > this.#room) this.#reserve(bytes);
    }
    let at = this.#text;
    for (const text of texts) {
      at += this.#bytes.write(text, at);
      this.#bytes[at++] = 0x0a;
    }
    return at - this.#text;
  }

  #reserve(bytes: number): void {
    this.#exports.reserve(bytes);
    this.#room = bytes;
    this.#text = this.#exports.text.value;
    this.#shingles = this.#exports.shingles.value / 4;
    this.#look();
  }

  /** Memory that grows is another. */
  #look(): void {
    const { buffer } = this.#exports.memory;
    this.#bytes = Buffer.from(buffer);
    this.#numbers = new Uint32Array(buffer);
  }
}
