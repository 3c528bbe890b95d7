import type { DatasetFormat } from "../../schemas/dataset.ts";
import { instantiate } from "./kernel/instance.ts";
import type { LineBuffer } from "./line-buffer.ts";
import { sortedFields, TEXT_FIELDS } from "./row.ts";

/*
 * Most lines are objects of texts in ASCII, as JSON.stringify would write them but for the order of their members. Such
 * a line is a row as it stands: its bytes are copied, without a string or an object for any of it.
 */

const BACKSLASH = 0x5c;
const BLANK = 0x20;
const END = Buffer.from('"}');
/** As `kernel/assembly/flat.ts` has them. */
const FIELDS = 4;
const NAME_BYTES = 16;

/** Reads rows where they lie, one after the other; what it says holds until the next. */
export class FlatReader {
  readonly #wasm = instantiate();
  /** What stands before each text in the canonical line. */
  readonly #heads: readonly Buffer[];
  readonly #headBytes: number;
  /** Fields in the order in which people read them, by their place among the sorted ones. */
  readonly #order: readonly number[];
  /** Where starts, ends and whether there are escapes are found, by index of the numbers. */
  readonly #found = this.#wasm.found.value / 4;
  #bytes = Buffer.alloc(0);
  #numbers = new Uint32Array(0);

  /** @returns undefined for a format that has more than texts */
  static for(format: DatasetFormat): FlatReader | undefined {
    const fields = sortedFields(format);
    return fields.every((field) => TEXT_FIELDS.includes(field)) ? new FlatReader(fields) : undefined;
  }

  private constructor(fields: readonly string[]) {
    this.#heads = fields.map((field, i) => Buffer.from(`${i === 0 ? "{" : '",'}"${field}":"`));
    this.#headBytes = this.#heads.reduce((sum, head) => sum + head.byteLength, END.byteLength);
    this.#order = TEXT_FIELDS.flatMap((field) => (fields.includes(field) ? [fields.indexOf(field)] : []));
    this.#look();
    const names = this.#wasm.names.value;
    if (fields.length > FIELDS) throw new TypeError(`a line has ${FIELDS} fields at most`);
    for (const [i, field] of fields.entries()) {
      if (field.length > NAME_BYTES) throw new TypeError(`${field} has more than ${NAME_BYTES} letters`);
      const length = this.#bytes.write(field, names + i * NAME_BYTES);
      this.#numbers[(names + FIELDS * NAME_BYTES) / 4 + i] = length;
    }
  }

  /** Takes a block, of which it keeps a copy until the next. */
  hold(lines: Uint8Array): void {
    this.#wasm.hold(lines.byteLength);
    this.#look();
    this.#bytes.set(lines, this.#wasm.block.value);
  }

  /** @returns where in the block the line ends that starts there, or -1 when it may be no such row */
  read(start: number): number {
    return this.#wasm.flatLine(start, this.#heads.length);
  }

  /** The row's canonical line. */
  get line(): string {
    const text = (field: number) => this.#bytes.toString("latin1", this.#start(field), this.#end(field));
    return `${this.#heads.map((head, i) => head.toString("latin1") + text(i)).join("")}"}`;
  }

  /** Bytes that the canonical line has. */
  get length(): number {
    let length = this.#headBytes;
    for (let i = 0; i < this.#heads.length; i++) length += this.#end(i) - this.#start(i);
    return length;
  }

  /** Writes the canonical line. */
  writeTo(lines: LineBuffer): void {
    for (let i = 0; i < this.#heads.length; i++) {
      lines.copy(this.#heads[i]!, 0, this.#heads[i]!.byteLength);
      lines.copy(this.#bytes, this.#start(i), this.#end(i));
    }
    lines.copy(END, 0, END.byteLength);
  }

  /** Copies the row's texts in the order in which people read them, one byte after each. @returns their end */
  copyTexts(into: Uint8Array, at: number): number {
    let end = at;
    for (const field of this.#order) {
      end += this.#bytes.copy(into, end, this.#start(field), this.#end(field));
      into[end++] = 0x0a;
    }
    if (this.#numbers[this.#found + 2 * FIELDS] !== 0) blankEscapes(into.subarray(at, end));
    return end;
  }

  #start(field: number): number {
    return this.#numbers[this.#found + field]!;
  }

  #end(field: number): number {
    return this.#numbers[this.#found + FIELDS + field]!;
  }

  /** Memory that has grown is another. */
  #look(): void {
    const { buffer } = this.#wasm.memory;
    if (this.#bytes.buffer === buffer) return;
    this.#bytes = Buffer.from(buffer);
    this.#numbers = new Uint32Array(buffer);
  }
}

/** Whatever is escaped stands between words. */
function blankEscapes(texts: Uint8Array): void {
  for (let at = texts.indexOf(BACKSLASH); at >= 0; at = texts.indexOf(BACKSLASH, at))
    texts.fill(BLANK, at, at + 2);
}
