import { isUtf8 } from "node:buffer";
import { type Block, MAX_RECORD_BYTES, unreadable } from "./block.ts";
import { type CsvRecord, csvRecords } from "./csv-records.ts";
import { RecordBlocks } from "./record-blocks.ts";

/**
 * The records of a CSV file (RFC 4180) by the names in its header. A record that cannot be read is a bad row of its own.
 * @throws SlipwayError UnreadableData when the header cannot be read, or a quote is never closed
 */
export async function* csvBlocks(path: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  const blocks = new RecordBlocks();
  let columns: readonly string[] | undefined;
  for await (const record of csvRecords(path, chunks)) {
    const cells = cellsOf(record);
    if (!columns) {
      if (typeof cells === "string") throw unreadable(path, `has no header: in line ${record.line} ${cells}`);
      columns = cells;
      continue;
    }
    const full =
      typeof cells === "string"
        ? blocks.addProblem(cells, record.line)
        : cells.length === columns.length
          ? blocks.add(Object.fromEntries(columns.map((name, i) => [name, cells[i]])), record.line)
          : blocks.addProblem(
              `the record has ${count(cells.length)}, and the header ${columns.length}`,
              record.line,
            );
    if (full) yield full;
  }
  const last = blocks.take();
  if (last) yield last;
}

const count = (cells: number) => (cells === 1 ? "1 cell" : `${cells} cells`);

/** @returns the cells, or in words why there are none */
function cellsOf({ bytes, size }: CsvRecord): readonly string[] | string {
  if (!bytes) return `the record has ${size} bytes; the limit is ${MAX_RECORD_BYTES}`;
  if (!isUtf8(bytes)) return "the record is not UTF-8";
  const text = bytes.toString("utf8");
  if (!text.includes('"')) return text.split(",");
  return quotedCells(text) ?? "a quote stands inside of a cell";
}

/** The cells of a record with quotes, unless one stands where none may. */
function quotedCells(text: string): string[] | undefined {
  const cells: string[] = [];
  for (let at = 0; ; at++) {
    let end: number;
    if (text[at] === '"') {
      end = text.indexOf('"', at + 1);
      while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
      if (end < 0) return undefined;
      cells.push(text.slice(at + 1, end).replaceAll('""', '"'));
      end++;
    } else {
      end = text.indexOf(",", at);
      if (end < 0) end = text.length;
      const cell = text.slice(at, end);
      if (cell.includes('"')) return undefined;
      cells.push(cell);
    }
    if (end === text.length) return cells;
    if (text[end] !== ",") return undefined;
    at = end;
  }
}
