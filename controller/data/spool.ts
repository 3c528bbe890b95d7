import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { type Chunk, parseSpooled, type SpooledRow } from "./chunk.ts";

/** Files that are kept open for single rows. */
const MAX_OPEN = 128;
const MAX_ROW_BYTES = 64 << 20;
/** For lists that are read whole and kept, of what the tables with a few words for each row leave; others come one by one. */
const KEPT_BYTES = 320 << 20;
const LEAST_KEPT_BYTES = 64 << 20;
const TABLE_BYTES_PER_ROW = 24;

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

/** Lists of numbers that follow the columns of the keys, one for each row. */
export class KeyLists implements Disposable {
  readonly #keys: KeyFiles;
  readonly #files: OpenFiles;
  readonly #starts: Float64Array;
  /** Where each row's list ends, in its chunk. */
  readonly #ends: Uint32Array;
  /** Where the lists of a chunk begin, in bytes for each of its rows. */
  readonly #offset: number;
  /** All lists of some chunks, while there is room. */
  readonly #whole = new Map<number, Uint32Array>();
  #room: number;
  /** Of the lists that are read one by one, the last. */
  #single = new Uint32Array(1024);

  /** @param ends the column that says so */
  constructor(keys: KeyFiles, ends: Uint32Array, columns: number) {
    this.#keys = keys;
    this.#ends = ends;
    this.#offset = columns * 4;
    this.#files = new OpenFiles(keys.paths);
    this.#starts = startsOf(keys.rows);
    this.#room = Math.max(LEAST_KEPT_BYTES, KEPT_BYTES - ends.length * TABLE_BYTES_PER_ROW);
  }

  /** The list of a row; it holds until another is asked for. */
  read(row: number): Uint32Array {
    const chunk = chunkOf(this.#starts, row);
    const start = row === this.#starts[chunk] ? 0 : this.#ends[row - 1]!;
    const whole = this.#whole.get(chunk) ?? this.#load(chunk);
    if (whole) return whole.subarray(start, this.#ends[row]!);
    const count = this.#ends[row]! - start;
    if (count > this.#single.length) this.#single = new Uint32Array(2 * count);
    return this.#read(chunk, start, this.#single.subarray(0, count));
  }

  #load(chunk: number): Uint32Array | undefined {
    const end = this.#ends[this.#starts[chunk + 1]! - 1]!;
    if (end * 4 > this.#room) return undefined;
    this.#room -= end * 4;
    const whole = this.#read(chunk, 0, new Uint32Array(end));
    this.#whole.set(chunk, whole);
    return whole;
  }

  #read(chunk: number, start: number, list: Uint32Array): Uint32Array {
    const position = this.#keys.rows[chunk]! * this.#offset + start * 4;
    readSync(this.#files.get(chunk), list, 0, list.byteLength, position);
    return list;
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

/** Files that are read here and there: the last few stay open. */
class OpenFiles implements Disposable {
  readonly #paths: readonly string[];
  readonly #open = new Map<number, number>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  get(index: number): number {
    let fd = this.#open.get(index);
    if (fd !== undefined) return fd;
    if (this.#open.size >= MAX_OPEN) {
      const [oldest] = this.#open;
      closeSync(oldest![1]);
      this.#open.delete(oldest![0]);
    }
    fd = openSync(this.#paths[index]!, "r");
    this.#open.set(index, fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }
}

/** The index of each chunk's first row, and of the one after the last. */
function startsOf(rows: readonly number[]): Float64Array {
  const starts = new Float64Array(rows.length + 1);
  for (const [i, count] of rows.entries()) starts[i + 1] = starts[i]! + count;
  return starts;
}

function chunkOf(starts: Float64Array, row: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Single rows of a pass, by their index among all. */
export class SpooledRows implements Disposable {
  readonly #chunks: readonly Chunk[];
  readonly #starts: Float64Array;
  /** Where each row of a chunk begins; made when first asked for. */
  readonly #offsets = new Map<number, Uint32Array>();
  readonly #files: OpenFiles;
  #buffer = Buffer.alloc(1 << 16);

  constructor(chunks: readonly Chunk[]) {
    this.#chunks = chunks;
    this.#files = new OpenFiles(chunks.map(({ path }) => path));
    this.#starts = startsOf(chunks.map(({ rows }) => rows));
  }

  read(index: number): SpooledRow {
    const chunk = chunkOf(this.#starts, index);
    const offsets = this.#offsetsOf(chunk);
    const at = index - this.#starts[chunk]!;
    const start = offsets[at]!;
    const length = offsets[at + 1]! - 1 - start;
    if (length > this.#buffer.byteLength) this.#buffer = Buffer.alloc(Math.min(MAX_ROW_BYTES, length * 2));
    const got = readSync(this.#files.get(chunk), this.#buffer, 0, length, start);
    return parseSpooled(this.#buffer.toString("utf8", 0, got));
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
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
}
