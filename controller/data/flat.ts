import type { DatasetFormat } from "../../schemas/dataset.ts";
import type { Block } from "./block.ts";
import type { LineBuffer } from "./line-buffer.ts";
import { sortedFields, TEXT_FIELDS } from "./row.ts";

/*
 * Most lines are objects of texts in ASCII, as JSON.stringify would write them but for the order of their members. Such
 * a line is a row as it stands: its bytes are copied, without a string or an object for any of it.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BLANK = 0x20;

/** For each byte inside a text: 0 goes on, 1 is a quote or a backslash, 2 is left to JSON.parse. */
const KIND = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === QUOTE || byte === BACKSLASH ? 1 : byte < BLANK || byte > 0x7e ? 2 : 0,
);
/** What JSON.stringify writes behind a backslash, but for numbers of characters. */
const ESCAPED = new Set(Buffer.from('"\\bfnrt'));

/** Reads rows where they lie, one after the other; what it says holds until the next. */
export class FlatReader {
  readonly #bytes: Uint8Array;
  readonly #names: readonly Uint8Array[];
  /** What stands before each text in the canonical line. */
  readonly #heads: readonly string[];
  readonly #headBytes: number;
  /** Fields in the order in which people read them, by their place among the sorted ones. */
  readonly #order: readonly number[];
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  #escapes = false;

  /** @returns undefined for a format that has more than texts */
  static for(format: DatasetFormat, { lines }: Block): FlatReader | undefined {
    const fields = sortedFields(format);
    return fields.every((field) => TEXT_FIELDS.includes(field)) ? new FlatReader(lines, fields) : undefined;
  }

  private constructor(bytes: Uint8Array, fields: readonly string[]) {
    this.#bytes = bytes;
    this.#names = fields.map((field) => Buffer.from(field));
    this.#heads = fields.map((field, i) => `${i === 0 ? "{" : '",'}"${field}":"`);
    this.#headBytes = this.#heads.join('"}').length;
    this.#order = TEXT_FIELDS.flatMap((field) => (fields.includes(field) ? [fields.indexOf(field)] : []));
    this.#starts = new Uint32Array(fields.length);
    this.#ends = new Uint32Array(fields.length);
  }

  /** @returns where the line ends that starts there, or -1 when it may be no such row */
  read(start: number): number {
    const bytes = this.#bytes;
    const all = 2 ** this.#names.length - 1;
    let seen = 0;
    this.#escapes = false;
    if (bytes[start] !== 0x7b) return -1;
    for (let at = start + 1; ; at++) {
      while (bytes[at] === BLANK) at++;
      const name = at + 1;
      if (bytes[at] !== QUOTE) return -1;
      at = this.#endOf(name);
      if (at < 0 || bytes[at + 1] !== 0x3a) return -1;
      const field = this.#fieldAt(name, at);
      at += 2;
      while (bytes[at] === BLANK) at++;
      const text = at + 1;
      if (bytes[at] !== QUOTE) return -1;
      at = this.#endOf(text);
      if (at < 0) return -1;
      if (field >= 0) {
        this.#starts[field] = text;
        this.#ends[field] = at;
        seen |= 1 << field;
      }
      at++;
      while (bytes[at] === BLANK) at++;
      if (bytes[at] === 0x2c) continue;
      const next = bytes[at + 1];
      return bytes[at] === 0x7d && (next === 0x0a || next === undefined) && seen === all ? at + 1 : -1;
    }
  }

  /** The row's canonical line. */
  get line(): string {
    const { buffer, byteOffset } = this.#bytes;
    const text = (_: unknown, i: number) =>
      Buffer.from(buffer, byteOffset + this.#starts[i]!, this.#ends[i]! - this.#starts[i]!).toString(
        "latin1",
      );
    return `${this.#heads.map((head, i) => head + text(head, i)).join("")}"}`;
  }

  /** Bytes that the canonical line has. */
  get length(): number {
    let length = this.#headBytes;
    for (let i = 0; i < this.#heads.length; i++) length += this.#ends[i]! - this.#starts[i]!;
    return length;
  }

  /** Writes the canonical line. */
  writeTo(lines: LineBuffer): void {
    for (let i = 0; i < this.#heads.length; i++) {
      lines.write(this.#heads[i]!);
      lines.copy(this.#bytes, this.#starts[i]!, this.#ends[i]!);
    }
    lines.write('"}');
  }

  /** Copies the row's texts in the order in which people read them, one byte after each. @returns their end */
  copyTexts(into: Uint8Array, at: number): number {
    let end = at;
    for (const field of this.#order) {
      const text = this.#bytes.subarray(this.#starts[field]!, this.#ends[field]!);
      into.set(text, end);
      end += text.byteLength;
      into[end++] = 0x0a;
    }
    if (this.#escapes) blankEscapes(into.subarray(at, end));
    return end;
  }

  /** Where the text ends that starts there; -1 where JSON.parse has to say. */
  #endOf(start: number): number {
    const bytes = this.#bytes;
    for (let at = start; ; at++) {
      while (KIND[bytes[at]!] === 0) at++;
      if (bytes[at] === QUOTE) return at;
      if (bytes[at] !== BACKSLASH || !ESCAPED.has(bytes[++at]!)) return -1;
      this.#escapes = true;
    }
  }

  /** Which field has this name; -1 for none. */
  #fieldAt(start: number, end: number): number {
    const bytes = this.#bytes;
    for (let field = 0; field < this.#names.length; field++) {
      const name = this.#names[field]!;
      if (name.length !== end - start) continue;
      let same = 0;
      while (same < name.length && bytes[start + same] === name[same]) same++;
      if (same === name.length) return field;
    }
    return -1;
  }
}

/** Whatever is escaped stands between words. */
function blankEscapes(texts: Uint8Array): void {
  for (let at = texts.indexOf(BACKSLASH); at >= 0; at = texts.indexOf(BACKSLASH, at))
    texts.fill(BLANK, at, at + 2);
}
