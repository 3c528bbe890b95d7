import { MAX_RECORD_BYTES, unreadable } from "./block.ts";

const [LF, CR, QUOTE, COMMA] = [0x0a, 0x0d, 0x22, 0x2c];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** What stands before the next byte. */
const [CELL, TEXT, QUOTED, CLOSED] = [0, 1, 2, 3];

export interface CsvRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  /** Without the end of its line; undefined where they are too many. */
  readonly bytes: Buffer | undefined;
  readonly size: number;
}

/**
 * Cuts a CSV file at the ends of its records, the lines in quoted cells being part of them. Empty lines are left out. Of
 * a record that is too long only its size is kept.
 * @throws SlipwayError UnreadableData when a quote is never closed: how many records stand behind it cannot be told
 */
export async function* csvRecords(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<CsvRecord> {
  const cutter = new Cutter();
  for await (const chunk of chunks) yield* cutter.add(chunk);
  const last = cutter.end();
  if (typeof last === "number")
    throw unreadable(path, `is no CSV: the quote of line ${last} is never closed`);
  if (last) yield last;
}

class Cutter {
  #state = CELL;
  #line = 1;
  #newline: number | undefined;
  /** Line in which the record begins, and the quote that was opened last. */
  #first = 1;
  #quote = 1;
  #pieces: Uint8Array[] = [];
  #size = 0;

  *add(chunk: Uint8Array): Generator<CsvRecord> {
    let start = 0;
    if (this.#newline === undefined) {
      this.#newline = newlineOf(chunk);
      if (BYTE_ORDER_MARK.every((byte, i) => chunk[i] === byte)) start = BYTE_ORDER_MARK.length;
    }
    const newline = this.#newline;
    let state = this.#state;
    for (let at = start; at < chunk.byteLength; at++) {
      const byte = chunk[at]!;
      if (state === QUOTED) {
        if (byte === QUOTE) state = CLOSED;
        else if (byte === newline) this.#line++;
      } else if (byte === newline) {
        this.#hold(chunk.subarray(start, at));
        start = at + 1;
        state = CELL;
        const record = this.#take();
        this.#first = ++this.#line;
        if (record) yield record;
      } else if (byte === COMMA) state = CELL;
      else if (byte === QUOTE && state !== TEXT) {
        // Two in a quoted cell are one of its text.
        if (state === CELL) this.#quote = this.#line;
        state = QUOTED;
      } else state = TEXT;
    }
    this.#state = state;
    this.#hold(chunk.subarray(start));
  }

  /** @returns the last record, or the line of the quote that was not closed before it */
  end(): CsvRecord | number | undefined {
    return this.#state === QUOTED ? this.#quote : this.#take();
  }

  #hold(piece: Uint8Array): void {
    this.#size += piece.byteLength;
    if (this.#size > MAX_RECORD_BYTES) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  #take(): CsvRecord | undefined {
    const [pieces, size, line] = [this.#pieces, this.#size, this.#first];
    this.#pieces = [];
    this.#size = 0;
    if (size > MAX_RECORD_BYTES) return { line, bytes: undefined, size };
    const [only = new Uint8Array(), ...more] = pieces;
    let bytes = more.length > 0 ? Buffer.concat(pieces) : Buffer.from(only.buffer, only.byteOffset, size);
    if (bytes.at(-1) === CR) bytes = bytes.subarray(0, -1);
    return bytes.byteLength === 0 ? undefined : { line, bytes, size };
  }
}

/** Lines end in CR alone where the first one does. A header is shorter than a chunk. */
function newlineOf(chunk: Uint8Array): number {
  const at = chunk.findIndex((byte) => byte === CR || byte === LF);
  return chunk[at] === CR && at + 1 < chunk.byteLength && chunk[at + 1] !== LF ? CR : LF;
}
