import { readFileSync, writeFileSync } from "node:fs";
import { SlipwayError } from "../errors.ts";
import { BLOCK_BYTES } from "./block.ts";
import type { FlatReader } from "./flat.ts";
import type { LineBuffer } from "./line-buffer.ts";
import type { Row } from "./row.ts";

/** Rows between two passes: a file of lines `file,number\tjson`, and the number of rows in it. */
export interface Chunk {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
}

/** Of the rows that are made of one block: they are in memory together. */
const MAX_CHUNK_CHARACTERS = 256 << 20;

/** Sees that the rows made of one block stay in bounds: a template can make a large row of a small one. */
export class Room {
  #characters = 0;

  /** @throws SlipwayError DatasetTooLarge */
  take(characters: number): void {
    this.#characters += characters;
    if (this.#characters <= MAX_CHUNK_CHARACTERS) return;
    throw new SlipwayError(
      "DatasetTooLarge",
      `the rows made of ${BLOCK_BYTES >> 20} MiB of a source have more than ${MAX_CHUNK_CHARACTERS >> 20} million characters`,
      { hint: "shorten the templates of the steps of type map" },
    );
  }
}

/** Where a row was found: which file of all, and its number there. */
export interface Place {
  readonly file: number;
  readonly number: number;
}

export interface FileName {
  readonly path: string;
  /** Index of the source. */
  readonly source: number;
}

/** `tickets.jsonl:12`, or `#12` for a format without lines. */
export function originOf(files: readonly FileName[], { file, number }: Place): string {
  const { path } = files[file]!;
  return `${path}${path.toLowerCase().endsWith(".parquet") ? "#" : ":"}${number}`;
}

/** Collects the rows of a chunk. */
export class ChunkWriter {
  readonly #lines: LineBuffer;
  readonly #room = new Room();
  rows = 0;

  /** @param lines empty; used until the rows are written */
  constructor(lines: LineBuffer) {
    this.#lines = lines;
  }

  add(place: Place, line: string): void {
    this.#room.take(line.length);
    this.#writePlace(place);
    this.#lines.write(line);
    this.#lines.end();
    this.rows++;
  }

  /** The row that was read last. */
  addFlat(place: Place, row: FlatReader): void {
    this.#room.take(row.length);
    this.#writePlace(place);
    row.writeTo(this.#lines);
    this.#lines.end();
    this.rows++;
  }

  #writePlace({ file, number }: Place): void {
    this.#lines.number(file);
    this.#lines.byte(0x2c);
    this.#lines.number(number);
    this.#lines.byte(0x09);
  }

  /** Whole or not at all for those who know of it: it is known once this returns. */
  write(path: string): Chunk {
    const data = this.#lines.take();
    writeFileSync(path, data);
    return { path, rows: this.rows, bytes: data.byteLength };
  }
}

export interface SpooledRow extends Place {
  readonly row: Row;
  readonly line: string;
}

export function parseSpooled(text: string): SpooledRow {
  const comma = text.indexOf(",");
  const tab = text.indexOf("\t", comma);
  const line = text.slice(tab + 1);
  return {
    file: Number(text.slice(0, comma)),
    number: Number(text.slice(comma + 1, tab)),
    line,
    row: JSON.parse(line) as Row,
  };
}

/** Every row of a chunk, with its index in it; those that `dropped` marks are passed over. */
export function eachSpooled(
  { path }: Chunk,
  dropped: Uint8Array | undefined,
  visit: (row: SpooledRow, index: number) => void,
): void {
  const text = readFileSync(path, "utf8");
  let index = 0;
  for (let start = 0; start < text.length; index++) {
    const end = text.indexOf("\n", start);
    if (!dropped || dropped[index] === 0) visit(parseSpooled(text.slice(start, end)), index);
    start = end + 1;
  }
}

/** The file of each row of a chunk. */
export function filesOfRows({ path, rows }: Chunk): Uint32Array {
  const data = readFileSync(path);
  const files = new Uint32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    files[row] = Number.parseInt(data.toString("latin1", at, at + 10), 10);
    at = data.indexOf(0x0a, at) + 1;
  }
  return files;
}
