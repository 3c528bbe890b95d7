import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { type Chunk, parseSpooled, type SpooledRow } from "./chunk.ts";

/** Files that are kept open for single rows. */
const MAX_OPEN = 128;
const MAX_ROW_BYTES = 64 << 20;

/** Where a column of a pass's keys lies: a file for each chunk. */
export interface KeyFiles {
  readonly paths: readonly string[];
  /** Rows of each chunk. */
  readonly rows: readonly number[];
}

/** A column of all rows, in order. @param words 32-bit words of a row in it */
export function readColumn({ paths, rows }: KeyFiles, column: number, words: number): Uint32Array {
  const all = new Uint32Array(rows.reduce((sum, count) => sum + count, 0) * words);
  const bytes = new Uint8Array(all.buffer);
  let at = 0;
  for (const [i, path] of paths.entries()) {
    const size = rows[i]! * words * 4;
    const fd = openSync(path, "r");
    try {
      for (let done = 0; done < size; ) {
        const got = readSync(fd, bytes, at + done, size - done, column * size + done);
        if (got === 0) throw new Error(`${path} is shorter than its rows`);
        done += got;
      }
    } finally {
      closeSync(fd);
    }
    at += size;
  }
  return all;
}

/** Single rows of a pass, by their index among all. */
export class SpooledRows implements Disposable {
  readonly #chunks: readonly Chunk[];
  readonly #starts: Float64Array;
  /** Where each row of a chunk begins; made when first asked for. */
  readonly #offsets = new Map<number, Uint32Array>();
  readonly #open = new Map<number, number>();
  #buffer = Buffer.alloc(1 << 16);

  constructor(chunks: readonly Chunk[]) {
    this.#chunks = chunks;
    this.#starts = new Float64Array(chunks.length + 1);
    for (const [i, { rows }] of chunks.entries()) this.#starts[i + 1] = this.#starts[i]! + rows;
  }

  read(index: number): SpooledRow {
    const chunk = this.#chunkOf(index);
    const offsets = this.#offsetsOf(chunk);
    const at = index - this.#starts[chunk]!;
    const start = offsets[at]!;
    const length = offsets[at + 1]! - 1 - start;
    if (length > this.#buffer.byteLength) this.#buffer = Buffer.alloc(Math.min(MAX_ROW_BYTES, length * 2));
    const got = readSync(this.#fileOf(chunk), this.#buffer, 0, length, start);
    return parseSpooled(this.#buffer.toString("utf8", 0, got));
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #chunkOf(index: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #offsetsOf(chunk: number): Uint32Array {
    const known = this.#offsets.get(chunk);
    if (known) return known;
    const { path, rows } = this.#chunks[chunk]!;
    const data = readFileSync(path);
    const offsets = new Uint32Array(rows + 1);
    for (let row = 1, at = data.indexOf(0x0a); row <= rows; row++) {
      offsets[row] = at + 1;
      at = data.indexOf(0x0a, at + 1);
    }
    this.#offsets.set(chunk, offsets);
    return offsets;
  }

  #fileOf(chunk: number): number {
    let fd = this.#open.get(chunk);
    if (fd !== undefined) return fd;
    if (this.#open.size >= MAX_OPEN) {
      const [oldest] = this.#open;
      closeSync(oldest![1]);
      this.#open.delete(oldest![0]);
    }
    fd = openSync(this.#chunks[chunk]!.path, "r");
    this.#open.set(chunk, fd);
    return fd;
  }
}
