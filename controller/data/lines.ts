import { BLOCK_BYTES, type Block, MAX_RECORD_BYTES } from "./block.ts";

const NEWLINE = 0x0a;
const PIECE_BYTES = 1 << 20;

/**
 * Cuts a stream at the ends of lines. Of a line that is too long only its length is kept.
 */
export async function* lineBlocks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  let held: Uint8Array[] = [];
  let size = 0;
  let line = 1;
  /** Bytes so far of a line that is too long. */
  let skipped = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (skipped > 0) {
        const end = rest.indexOf(NEWLINE);
        skipped += end < 0 ? rest.byteLength : end;
        rest = end < 0 ? rest.subarray(rest.byteLength) : rest.subarray(end + 1);
        if (end < 0) continue;
        yield tooLong(line++, skipped);
        skipped = 0;
        continue;
      }
      // A line that is longer than a block comes a piece at a time.
      const take = rest.subarray(0, size < BLOCK_BYTES ? BLOCK_BYTES - size : PIECE_BYTES);
      held.push(take);
      size += take.byteLength;
      rest = rest.subarray(take.byteLength);
      if (size < BLOCK_BYTES) continue;
      const last = take.lastIndexOf(NEWLINE);
      if (last >= 0) {
        const lines = joined(held, size - (take.byteLength - last - 1));
        const count = countLines(lines);
        yield { lines, first: line, count };
        line += count;
        held = last + 1 < take.byteLength ? [take.subarray(last + 1)] : [];
        size = take.byteLength - last - 1;
      } else if (size > MAX_RECORD_BYTES) {
        // What stands before the long line is a block of its own.
        const all = joined(held, size);
        const before = all.lastIndexOf(NEWLINE) + 1;
        if (before > 0) {
          const lines = all.subarray(0, before);
          const count = countLines(lines);
          yield { lines, first: line, count };
          line += count;
        }
        if (size - before > MAX_RECORD_BYTES) {
          skipped = size - before;
          held = [];
          size = 0;
        } else {
          held = [all.subarray(before)];
          size -= before;
        }
      }
    }
  }
  if (skipped > 0) yield tooLong(line, skipped);
  else if (size > 0) {
    const lines = joined(held, size);
    yield { lines, first: line, count: countLines(lines) };
  }
}

const tooLong = (line: number, bytes: number): Block => ({
  lines: new Uint8Array(),
  first: line,
  count: 1,
  problem: `the line has ${bytes} bytes; the limit is ${MAX_RECORD_BYTES}`,
});

/** A copy, which can be handed to a thread. */
function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    const piece = part.subarray(0, bytes - at);
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}

/** The last line may have no end. */
function countLines(lines: Uint8Array): number {
  // A Buffer's search is much faster than an array's.
  const buffer = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  let count = lines.at(-1) === NEWLINE ? 0 : 1;
  for (let at = buffer.indexOf(NEWLINE); at >= 0; at = buffer.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
