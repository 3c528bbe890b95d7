import { parquetReadObjects as readObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { DatasetFormat } from "../../schemas/dataset.ts";
import { FIELDS, type Row } from "./row.ts";

interface Bytes {
  readonly byteLength: number;
  slice(start: number, end?: number): ArrayBuffer;
}

/** Bytes as the Parquet reader asks for them. */
export function asyncBufferFrom(data: Uint8Array): Bytes {
  const whole = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
  return { byteLength: whole.byteLength, slice: (start, end) => whole.slice(start, end) };
}

/** Every row of a Parquet file; text columns as text. */
export async function parquetReadObjects(file: Bytes): Promise<Record<string, unknown>[]> {
  return readObjects({ file, compressors, utf8: true });
}

/** Rows as Parquet: the columns of the format, messages as JSON text. The same rows make the same bytes. */
export function parquetOf(format: DatasetFormat, rows: readonly Row[]): Uint8Array {
  const columnData = FIELDS[format].map((name) =>
    name === "label"
      ? { name, data: rows.map((row) => row[name] as boolean), type: "BOOLEAN" as const }
      : {
          name,
          data: rows.map((row) => (name === "messages" ? JSON.stringify(row[name]) : (row[name] as string))),
          type: "STRING" as const,
        },
  );
  return new Uint8Array(parquetWriteBuffer({ columnData, codec: "SNAPPY" }));
}
