/** Of the room that is kept for the lines of the next block. */
const KEPT_BYTES = 32 << 20;
/** UTF-8 of a UTF-16 unit. */
const MAX_UNIT_BYTES = 3;

/** Lines as bytes, in room that is used again: many strings that are put together cost more than all else. */
export class LineBuffer {
  #data = Buffer.alloc(0);
  #length = 0;

  add(line: string): void {
    const most = this.#length + line.length * MAX_UNIT_BYTES + 1;
    if (most > this.#data.byteLength) this.#grow(most);
    this.#length += this.#data.write(line, this.#length);
    this.#data[this.#length++] = 0x0a;
  }

  /** All lines; they hold until others are added. */
  take(): Uint8Array {
    const lines = this.#data.subarray(0, this.#length);
    this.#length = 0;
    if (this.#data.byteLength > KEPT_BYTES) this.#data = Buffer.alloc(0);
    return lines;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(bytes * 2);
    larger.set(this.#data.subarray(0, this.#length));
    this.#data = larger;
  }
}
