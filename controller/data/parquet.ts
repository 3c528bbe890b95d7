import { type FileHandle, open } from "node:fs/promises";
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects as readObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { fileWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import type { DatasetFormat } from "../../schemas/dataset.ts";
import { type Block, type DataFile, sizeOf, unreadable } from "./block.ts";
import { TooMuchAtOnce, type WindowBounds, windowsOf } from "./parquet-windows.ts";
import { RecordBlocks } from "./record-blocks.ts";
import { FIELDS, type Row } from "./row.ts";

/** Bytes as the Parquet reader asks for them. */
export function asyncBufferFrom(data: Uint8Array): AsyncBuffer {
  const whole = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
  return { byteLength: whole.byteLength, slice: (start, end) => whole.slice(start, end) };
}

function bufferOfFile(file: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const data = new Uint8Array(end - start);
      await file.read(data, 0, data.byteLength, start);
      return data.buffer;
    },
  };
}

/** Every row of a Parquet file; text columns as text. */
export async function parquetReadObjects(file: AsyncBuffer): Promise<Record<string, unknown>[]> {
  return readObjects({ file, compressors, utf8: true });
}

/** The records of a file, a few pages of each column in memory at a time. @throws SlipwayError UnreadableData */
export async function* parquetBlocks(source: DataFile, bounds?: WindowBounds): AsyncGenerator<Block> {
  const handle = "data" in source ? undefined : await open(source.file);
  try {
    const file =
      "data" in source ? asyncBufferFrom(source.data) : bufferOfFile(handle!, await sizeOf(source));
    const metadata = await guarded(source, () => parquetMetadataAsync(file));
    const blocks = new RecordBlocks();
    for (const group of metadata.row_groups.keys()) {
      const windows = await guarded(source, () => windowsOf(file, metadata, group, bounds));
      for (const { rowStart, rowEnd, pageLocations } of windows) {
        // How the reader's own planner hands over what it has read of a page index.
        const pages = { pageLocationsByGroup: { [group]: pageLocations } };
        const options = { file, metadata, compressors, utf8: true, rowStart, rowEnd, ...pages };
        const records = await guarded(source, () => readObjects(options));
        for (const [i, record] of records.entries()) {
          const full = blocks.add(record, rowStart + i + 1);
          if (full) yield full;
        }
      }
    }
    const last = blocks.take();
    if (last) yield last;
  } finally {
    await handle?.close();
  }
}

async function guarded<T>({ path }: DataFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof TooMuchAtOnce) throw unreadable(path, cause.message, cause);
    throw unreadable(path, `is no Parquet that can be read: ${(cause as Error).message}`, cause);
  }
}

/**
 * Rows as Parquet, written a row group at a time: the columns of the format, messages as JSON text. The same groups make
 * the same bytes.
 */
export class ParquetFile {
  readonly #format: DatasetFormat;
  readonly #writer: ParquetWriter;

  constructor(format: DatasetFormat, path: string) {
    this.#format = format;
    const schema = schemaFromColumnData({ columnData: columnsOf(format, []) });
    this.#writer = new ParquetWriter({ writer: fileWriter(path), schema, codec: "SNAPPY" });
  }

  // A file's writer is done when it returns: what its methods return is a promise for other writers only.

  /** Writes a row group. */
  write(rows: readonly Row[]): void {
    void this.#writer.write({ columnData: columnsOf(this.#format, rows), rowGroupSize: rows.length });
  }

  finish(): void {
    void this.#writer.finish();
  }
}

const columnsOf = (format: DatasetFormat, rows: readonly Row[]) =>
  FIELDS[format].map((name) =>
    name === "label"
      ? { name, data: rows.map((row) => row[name] as boolean), type: "BOOLEAN" as const }
      : {
          name,
          data: rows.map((row) => (name === "messages" ? JSON.stringify(row[name]) : (row[name] as string))),
          type: "STRING" as const,
        },
  );
