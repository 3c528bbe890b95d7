import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { DatasetFormat } from "../../schemas/dataset.ts";
import { ParquetFile } from "./parquet.ts";
import type { Row } from "./row.ts";

const NEWLINE = 0x0a;
/** Bounds of one Parquet file. */
const SHARD_ROWS = 50_000;
const SHARD_BYTES = 32 << 20;
/** Of the lines that are read at a time for a row group, which is in memory at once: in lines, as rows, and as columns. */
const GROUP_BYTES = 4 << 20;

/** A part of a split's JSON lines that becomes a Parquet file. */
export interface Shard {
  readonly start: number;
  readonly bytes: number;
  readonly rows: number;
}

export interface ParquetTask {
  readonly format: DatasetFormat;
  readonly lines: string;
  readonly shard: Shard;
  readonly out: string;
}

export function writeParquet({ format, lines, shard, out }: ParquetTask): { digest: string; bytes: number } {
  const parquet = new ParquetFile(format, out);
  for (const rows of rowsOf(lines, shard)) parquet.write(rows);
  parquet.finish();
  return digestOf(out);
}

/** The rows of a shard, those of a row group at a time. An empty shard is a group without rows. */
function* rowsOf(lines: string, { start, bytes }: Shard): Generator<Row[]> {
  const fd = openSync(lines, "r");
  try {
    let done = 0;
    do {
      let size = Math.min(GROUP_BYTES, bytes - done);
      let data = piece(fd, start + done, size);
      // A line that is longer than a group is one of its own.
      while (done + size < bytes && data.lastIndexOf(NEWLINE) < 0) {
        size = Math.min(2 * size, bytes - done);
        data = piece(fd, start + done, size);
      }
      const whole = data.subarray(0, data.lastIndexOf(NEWLINE) + 1);
      yield parsed(whole);
      done += whole.byteLength;
    } while (done < bytes);
  } finally {
    closeSync(fd);
  }
}

function piece(fd: number, start: number, bytes: number): Buffer {
  const data = Buffer.allocUnsafe(bytes);
  for (let done = 0; done < bytes; ) {
    const got = readSync(fd, data, done, bytes - done, start + done);
    if (got === 0) throw new Error("the lines of a split are fewer than they were");
    done += got;
  }
  return data;
}

function parsed(lines: Buffer): Row[] {
  const rows: Row[] = [];
  for (let at = 0; at < lines.byteLength; ) {
    const end = lines.indexOf(NEWLINE, at);
    rows.push(JSON.parse(lines.toString("utf8", at, end)) as Row);
    at = end + 1;
  }
  return rows;
}

function digestOf(path: string): { digest: string; bytes: number } {
  const hash = createHash("sha256");
  const data = Buffer.allocUnsafe(1 << 20);
  const fd = openSync(path, "r");
  try {
    let bytes = 0;
    for (let got = readSync(fd, data); got > 0; got = readSync(fd, data)) {
      hash.update(data.subarray(0, got));
      bytes += got;
    }
    return { digest: `sha256:${hash.digest("hex")}`, bytes };
  } finally {
    closeSync(fd);
  }
}

/** Cuts lines into shards as they come: by rows and bytes alone, so that the same rows make the same shards. */
export class ShardCutter {
  readonly shards: Shard[] = [];
  #start = 0;
  #at = 0;
  #rows = 0;

  /** @param data whole lines that follow those before */
  add(data: Uint8Array): void {
    let at = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, at)) {
      const length = end + 1 - at;
      if (this.#rows > 0 && this.#at + length - this.#start > SHARD_BYTES) this.#cut();
      this.#rows++;
      this.#at += length;
      at = end + 1;
      if (this.#rows >= SHARD_ROWS) this.#cut();
    }
  }

  /** An empty split has an empty file. */
  finish(): readonly Shard[] {
    if (this.#rows > 0 || this.shards.length === 0) this.#cut();
    return this.shards;
  }

  #cut(): void {
    this.shards.push({ start: this.#start, bytes: this.#at - this.#start, rows: this.#rows });
    this.#start = this.#at;
    this.#rows = 0;
  }
}

/** As the Hub names parts: `train.parquet`, or `train-00000-of-00003.parquet`. */
export function shardName(split: string, index: number, count: number): string {
  const part = (value: number) => String(value).padStart(5, "0");
  return count === 1 ? `${split}.parquet` : `${split}-${part(index)}-of-${part(count)}.parquet`;
}
