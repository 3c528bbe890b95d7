/** Of the room that is kept for the lines of the next block. */
const KEPT_BYTES = 32 << 20;
/** UTF-8 of a UTF-16 unit. */
const MAX_UNIT_BYTES = 3;
const FEW_BYTES = 32;
const MAX_DIGITS = 16;

/** Lines as bytes, in room that is used again: many strings that are put together cost more than all else. */
export class LineBuffer {
  #data = Buffer.alloc(0);
  #length = 0;

  /** Makes room for about as many bytes: to move what lies there, again and again, costs more. */
  expect(bytes: number): void {
    if (this.#length === 0 && bytes > this.#data.byteLength) this.#data = Buffer.allocUnsafeSlow(bytes);
  }

  write(text: string): void {
    this.#reserve(text.length * MAX_UNIT_BYTES);
    this.#length += this.#data.write(text, this.#length);
  }

  copy(from: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    const data = this.#data;
    let at = this.#length;
    // A view of a few bytes would cost more than to copy them.
    if (end - start < FEW_BYTES) for (let i = start; i < end; i++) data[at++] = from[i]!;
    else from.copy(data, at, start, end);
    this.#length += end - start;
  }

  /** Writes a whole number. */
  number(value: number): void {
    this.#reserve(MAX_DIGITS);
    let end = this.#length + 1;
    for (let limit = 10; limit <= value; limit *= 10) end++;
    for (let at = end - 1, rest = value; at >= this.#length; at--) {
      this.#data[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.#length = end;
  }

  /** Writes a character of ASCII. */
  byte(code: number): void {
    this.#reserve(1);
    this.#data[this.#length++] = code;
  }

  /** Ends a line. */
  end(): void {
    this.byte(0x0a);
  }

  /** All lines; they hold until others are written. */
  take(): Uint8Array {
    const lines = this.#data.subarray(0, this.#length);
    this.#length = 0;
    if (this.#data.byteLength > KEPT_BYTES) this.#data = Buffer.alloc(0);
    return lines;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#data.byteLength) return;
    const larger = Buffer.allocUnsafeSlow((this.#length + bytes) * 2);
    larger.set(this.#data.subarray(0, this.#length));
    this.#data = larger;
  }
}
