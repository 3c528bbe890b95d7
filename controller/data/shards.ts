import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import type { DatasetFormat } from "../../schemas/dataset.ts";
import { parquetOf } from "./parquet.ts";
import type { Row } from "./row.ts";

/** Bounds of one Parquet file: what is written is in memory at once. */
export const SHARD_ROWS = 50_000;
export const SHARD_BYTES = 32 << 20;

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
  const data = Buffer.alloc(shard.bytes);
  const fd = openSync(lines, "r");
  try {
    for (let done = 0; done < shard.bytes; ) {
      const got = readSync(fd, data, done, shard.bytes - done, shard.start + done);
      if (got === 0) throw new Error(`${lines} is shorter than it was`);
      done += got;
    }
  } finally {
    closeSync(fd);
  }
  const rows: Row[] = [];
  for (let at = 0; at < data.byteLength; ) {
    const end = data.indexOf(0x0a, at);
    rows.push(JSON.parse(data.toString("utf8", at, end)) as Row);
    at = end + 1;
  }
  const parquet = parquetOf(format, rows);
  writeFileSync(out, parquet);
  return {
    digest: `sha256:${createHash("sha256").update(parquet).digest("hex")}`,
    bytes: parquet.byteLength,
  };
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
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, at)) {
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
