import { hash } from "node:crypto";
import type { FlatReader } from "./flat.ts";
import { BANDS, Sketcher } from "./minhash.ts";
import type { Global } from "./passes.ts";
import { lineOf, ownTexts, type Row } from "./row.ts";
import { Hashes } from "./words.ts";

/*
 * What a global step has to know of each row, computed where the row is read and kept on disk: a file for each chunk
 * and step, column after column, so that one column of all rows can be read without the others.
 */

/** 32-bit words of a row in each column. */
const LAYOUT: Readonly<Record<Global["type"], { columns: number; words: number }>> = {
  // 128 bits of the row's digest: two rows that differ share it once in 10^24 for a billion rows.
  exactDedup: { columns: 1, words: 4 },
  // How many shingles the rows up to this one have, then a key for each band.
  nearDedup: { columns: 1 + BANDS, words: 1 },
  // 64 bits of a seeded digest.
  sample: { columns: 1, words: 2 },
  aggregate: { columns: 1, words: 2 },
  // As nearDedup, and the place among the splits.
  split: { columns: 1 + BANDS + 1, words: 1 },
};

export const columnsOf = ({ type }: Global): { columns: number; words: number } => LAYOUT[type];

/** As many as a row of a few sentences has. */
const ROW_SHINGLES = 64;

/** Computes the keys of the rows of one chunk after the other. */
export class KeyWriter {
  readonly #global: Global;
  readonly #seed: number;
  readonly #sketcher = new Sketcher();
  readonly #shingles = new Hashes();
  /** As large as the largest chunk needed it: what is made anew for each costs much more than to fill it. */
  #columns = new Uint32Array(0);
  #room = 0;

  constructor(global: Global, splitSeed: number) {
    this.#global = global;
    this.#seed = global.type === "sample" ? global.seed : splitSeed;
  }

  /** Begins a chunk. @param rows how many there are at most */
  begin(rows: number): void {
    const { columns, words } = columnsOf(this.#global);
    const size = columns * words * rows;
    if (size > this.#columns.length) this.#columns = new Uint32Array(size);
    this.#room = rows;
    this.#shingles.begin("ngram" in this.#global ? rows * ROW_SHINGLES : 0);
  }

  add(row: Row, line: string, at: number): void {
    const global = this.#global;
    if ("ngram" in global) this.#addShingles(this.#sketcher.read(ownTexts(row), global.ngram), at);
    this.#addDigest(line, at);
  }

  /** The row that was read last. */
  addFlat(row: FlatReader, at: number): void {
    const global = this.#global;
    if ("ngram" in global) this.#addShingles(this.#sketcher.readFlat(row, global.ngram), at);
    if (global.type !== "nearDedup") this.#addDigest(row.line, at);
  }

  #addShingles(count: number, at: number): void {
    this.#sketcher.keys(count, this.#columns, this.#room + at, this.#room);
    this.#sketcher.addTo(this.#shingles, count);
    this.#columns[at] = this.#shingles.length;
  }

  #addDigest(line: string, at: number): void {
    const columns = this.#columns;
    switch (this.#global.type) {
      case "exactDedup": {
        const digest = hash("sha256", line, "buffer");
        for (let i = 0; i < 4; i++) columns[at * 4 + i] = digest.readUInt32LE(i * 4);
        return;
      }
      case "sample":
      case "aggregate": {
        const digest = hash("sha256", `${this.#seed}\0${line}`, "buffer");
        columns[at * 2] = digest.readUInt32BE(0);
        columns[at * 2 + 1] = digest.readUInt32BE(4);
        return;
      }
      case "split":
        columns[this.#room * (1 + BANDS) + at] = evenly(`${this.#seed}\0${line}`);
        return;
      case "nearDedup":
    }
  }

  /** The columns of `rows` rows, and after them the shingles of each, where they are asked for: until the next chunk. */
  finish(rows: number): readonly Uint32Array[] {
    return [this.#packed(rows), this.#shingles.values.subarray(0, this.#shingles.length)];
  }

  #packed(rows: number): Uint32Array {
    const { columns, words } = columnsOf(this.#global);
    if (rows === this.#room) return this.#columns.subarray(0, columns * words * rows);
    const packed = new Uint32Array(columns * words * rows);
    for (let column = 0; column < columns; column++) {
      const from = column * words * this.#room;
      packed.set(this.#columns.subarray(from, from + words * rows), column * words * rows);
    }
    return packed;
  }
}

/** An even number below 2^32 that depends on the text alone. */
export const evenly = (text: string): number => hash("sha256", text, "buffer").readUInt32BE(0);

/** Whether a row is among the share of its source that is taken. */
export const isDrawn = (row: Row, source: string, weight: number): boolean =>
  weight >= 1 || evenly(`${source}\0${lineOf(row)}`) < weight * 2 ** 32;
