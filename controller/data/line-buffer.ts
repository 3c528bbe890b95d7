/** Of the room that is kept for the lines of the next block. */
const KEPT_BYTES = 32 << 20;
/** UTF-8 of a UTF-16 unit. */
const MAX_UNIT_BYTES = 3;

/** Lines as bytes, in room that is used again: many strings that are put together cost more than all else. */
export class LineBuffer {
  #data = Buffer.alloc(0);
  #length = 0;

  write(text: string): void {
    this.#reserve(text.length * MAX_UNIT_BYTES);
    this.#length += this.#data.write(text, this.#length);
  }

  copy(from: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    this.#data.set(from.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  /** Ends a line. */
  end(): void {
    this.#reserve(1);
    this.#data[this.#length++] = 0x0a;
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
