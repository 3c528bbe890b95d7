import { BLOCK_BYTES, type Block, MAX_RECORD_BYTES } from "./block.ts";

const NEWLINE = 0x0a;
const PIECE_BYTES = 1 << 20;

/** Reads the next bytes into a buffer, as many as it has room for or fewer. @returns how many; 0 at the end */
export type Read = (into: Buffer) => Promise<number>;

/**
 * Cuts a stream at the ends of lines. Of a line that is too long only its length is kept.
 */
export async function* lineBlocks(read: Read): AsyncGenerator<Block> {
  let held = new Held();
  let line = 1;
  /** Bytes so far of a line that is too long. */
  let skipped = 0;
  const block = (lines: Buffer): Block => {
    const count = countLines(lines);
    line += count;
    return { lines, first: line - count, count };
  };
  for (let more = true; more; ) {
    more = await held.fill(read);
    const all = held.bytes;
    if (skipped > 0) {
      const end = all.indexOf(NEWLINE);
      skipped += end < 0 ? all.byteLength : end;
      held.drop(end < 0 ? all.byteLength : end + 1);
      if (end < 0) continue;
      yield tooLong(line++, skipped);
      skipped = 0;
    } else if (more) {
      const end = all.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        held = new Held(all.subarray(end));
        yield block(all.subarray(0, end));
      } else if (all.byteLength > MAX_RECORD_BYTES) {
        skipped = all.byteLength;
        held.drop(skipped);
      }
    }
  }
  if (skipped > 0) yield tooLong(line, skipped);
  if (held.bytes.byteLength > 0) yield block(held.bytes);
  else held.recycle();
}

/**
 * What is read and not yet cut. It lies in memory that threads share, so that to hand it over costs nothing. V8 does not
 * count such memory, and would let it grow without collecting any: so it is used again, and what a long line needs more
 * of is memory of the common kind.
 */
class Held {
  #data = spare.pop() ?? Buffer.from(new SharedArrayBuffer(BLOCK_BYTES));
  #size = 0;

  /** @param bytes to begin with; fewer than a block has */
  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.#data.set(bytes);
    this.#size = bytes.byteLength;
  }

  get bytes(): Buffer {
    return this.#data.subarray(0, this.#size);
  }

  /**
   * Reads until a block is full, or a piece more of a line that is longer, up to where it is too long.
   * @returns whether there is as much; else the stream has ended
   */
  async fill(read: Read): Promise<boolean> {
    const size =
      this.#size < BLOCK_BYTES ? BLOCK_BYTES : Math.min(this.#size + PIECE_BYTES, MAX_RECORD_BYTES + 1);
    if (size > this.#data.byteLength) {
      const larger = Buffer.allocUnsafeSlow(size * 2);
      larger.set(this.bytes);
      this.recycle();
      this.#data = larger;
    }
    while (this.#size < size) {
      const got = await read(this.#data.subarray(this.#size, size));
      if (got === 0) return false;
      this.#size += got;
    }
    return true;
  }

  /** Forgets the first bytes. */
  drop(bytes: number): void {
    this.#data.copyWithin(0, bytes, this.#size);
    this.#size -= bytes;
  }

  recycle(): void {
    recycle(this.#data);
  }
}

/** Memory of blocks that nobody reads any more; as much as was in use at a time. */
const spare: Buffer[] = [];

/** Gives the lines of a block back that nobody reads any more. */
export function recycle({ buffer }: Uint8Array): void {
  if (buffer instanceof SharedArrayBuffer) spare.push(Buffer.from(buffer));
}

const tooLong = (line: number, bytes: number): Block => ({
  lines: Uint8Array.of(NEWLINE),
  first: line,
  count: 1,
  problems: new Map([[0, `the line has ${bytes} bytes; the limit is ${MAX_RECORD_BYTES}`]]),
});

/** The last line may have no end. */
function countLines(lines: Buffer): number {
  let count = lines.at(-1) === NEWLINE ? 0 : 1;
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
