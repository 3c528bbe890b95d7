import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { BLOCK_BYTES, type Block, MAX_RECORD_BYTES, unreadable } from "./block.ts";

/** Records as JSON lines until they fill a block. */
export class RecordBlocks {
  #lines: string[] = [];
  #numbers: number[] = [];
  #characters = 0;

  /** @returns a block when one is full */
  add(record: unknown, number: number): Block | undefined {
    const line = JSON.stringify(record, plain);
    this.#lines.push(line);
    this.#numbers.push(number);
    this.#characters += line.length;
    return this.#characters >= BLOCK_BYTES ? this.take() : undefined;
  }

  take(): Block | undefined {
    if (this.#numbers.length === 0) return undefined;
    const lines = new TextEncoder().encode(`${this.#lines.join("\n")}\n`);
    const numbers = Uint32Array.from(this.#numbers);
    this.#lines = [];
    this.#numbers = [];
    this.#characters = 0;
    return { lines, first: numbers[0] ?? 1, count: numbers.length, numbers };
  }
}

/** JSON has no 64-bit integers and no bytes; text stands for them. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** @throws SlipwayError UnreadableData */
export async function* csvBlocks(path: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  const parser = parse({
    bom: true,
    columns: true,
    info: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_BYTES,
  });
  const source = Readable.from(decoded(path, chunks));
  source.on("error", (error) => parser.destroy(error));
  const blocks = new RecordBlocks();
  try {
    for await (const item of source.pipe(parser)) {
      const { record, info } = item as { record: Record<string, string>; info: { lines: number } };
      const full = blocks.add(record, info.lines);
      if (full) yield full;
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw unreadable(path, `is no CSV: ${cause.message}`, cause);
  } finally {
    source.destroy();
    parser.destroy();
  }
  const last = blocks.take();
  if (last) yield last;
}

async function* decoded(path: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let line = 1;
  const decode = (chunk?: Uint8Array) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw unreadable(path, `is not UTF-8, at or after line ${line}`, cause);
    }
  };
  for await (const chunk of chunks) {
    const text = decode(chunk);
    yield text;
    for (const _ of text.matchAll(/\n/g)) line++;
  }
  yield decode();
}
