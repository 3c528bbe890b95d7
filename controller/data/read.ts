import { gunzipSync } from "node:zlib";
import { CsvError, parse } from "csv-parse/sync";
import type { DatasetFormat } from "../../schemas/dataset.ts";
import { SlipwayError } from "../errors.ts";
import { asyncBufferFrom, parquetReadObjects } from "./parquet.ts";
import { type PlacedRow, toRow } from "./row.ts";

export interface DataFile {
  readonly path: string;
  readonly data: Uint8Array;
}

/** A row that is none, with the place of it. */
export interface BadRow {
  readonly origin: string;
  readonly message: string;
}

/** Longer lines are taken for a file that is no JSONL at all. */
const MAX_LINE_BYTES = 16 << 20;
const MAX_UNPACKED_BYTES = 2 ** 31 - 1;

/**
 * The rows of a file, in its order, and what is in it that is no row.
 * @throws SlipwayError UnreadableData when the file as a whole cannot be read: cut off, not UTF-8, of no known kind
 */
export async function readRows(
  file: DataFile,
  format: DatasetFormat,
): Promise<{ rows: PlacedRow[]; bad: BadRow[] }> {
  const packed = file.path.toLowerCase().endsWith(".gz");
  const name = packed ? file.path.slice(0, -3) : file.path;
  const data = packed ? unpack(file) : file.data;
  const values = await readValues(name.slice(name.lastIndexOf(".") + 1).toLowerCase(), file.path, data);
  const rows: PlacedRow[] = [];
  const bad: BadRow[] = [];
  for (const { origin, value, problem } of values) {
    const row = problem ?? toRow(format, value);
    if (typeof row === "string") bad.push({ origin, message: row });
    else rows.push({ row, origin });
  }
  return { rows, bad };
}

interface Value {
  readonly origin: string;
  readonly value?: unknown;
  readonly problem?: string;
}

async function readValues(kind: string, path: string, data: Uint8Array): Promise<Value[]> {
  switch (kind) {
    case "jsonl":
    case "ndjson":
      return jsonLines(path, data);
    case "csv":
      return csv(path, data);
    case "parquet":
      return parquet(path, data);
    default:
      throw unreadable(path, "is no .jsonl, .csv or .parquet file");
  }
}

function unpack({ path, data }: DataFile): Uint8Array {
  try {
    return gunzipSync(data, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (cause) {
    const short = (cause as NodeJS.ErrnoException).code === "Z_BUF_ERROR";
    throw unreadable(
      path,
      short ? "ends in the middle: the gzip data was cut off" : "is no gzip data",
      cause,
    );
  }
}

function* jsonLinesOf(path: string, data: Uint8Array): Generator<Value> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 0;
  for (let start = 0; start < data.byteLength; ) {
    line++;
    const found = data.indexOf(0x0a, start);
    const end = found < 0 ? data.byteLength : found;
    const origin = `${path}:${line}`;
    if (end - start > MAX_LINE_BYTES) {
      yield { origin, problem: `the line has ${end - start} bytes; the limit is ${MAX_LINE_BYTES}` };
    } else {
      let text: string | undefined;
      try {
        text = decoder.decode(data.subarray(start, end)).trim();
      } catch {
        yield { origin, problem: "the line is not UTF-8" };
      }
      if (text !== undefined && text !== "") {
        try {
          yield { origin, value: JSON.parse(text) as unknown };
        } catch {
          yield { origin, problem: "the line is not JSON" };
        }
      }
    }
    start = end + 1;
  }
}

const jsonLines = (path: string, data: Uint8Array): Value[] => [...jsonLinesOf(path, data)];

function csv(path: string, data: Uint8Array): Value[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch (cause) {
    throw unreadable(path, "is not UTF-8", cause);
  }
  try {
    const records = parse(text, {
      bom: true,
      columns: true,
      info: true,
      skip_empty_lines: true,
    }) as unknown as {
      record: Record<string, string>;
      info: { lines: number };
    }[];
    return records.map(({ record, info }) => ({ origin: `${path}:${info.lines}`, value: record }));
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw unreadable(path, `is no CSV: ${cause.message}`, cause);
  }
}

async function parquet(path: string, data: Uint8Array): Promise<Value[]> {
  try {
    const records = await parquetReadObjects(asyncBufferFrom(data));
    return records.map((value, i) => ({ origin: `${path}#${i + 1}`, value }));
  } catch (cause) {
    throw unreadable(path, `is no Parquet: ${(cause as Error).message}`, cause);
  }
}

function unreadable(path: string, message: string, cause?: unknown): SlipwayError {
  return new SlipwayError("UnreadableData", `${path} ${message}`, {
    location: { file: path },
    ...(cause === undefined ? {} : { cause }),
  });
}
