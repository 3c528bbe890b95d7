import {
  type AsyncBuffer,
  type FileMetaData,
  type OffsetIndex,
  parquetSchema,
  readOffsetIndex,
} from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { getTreePath, isFlatColumn } from "hyparquet/src/schema.js";

/*
 * A row group may be a whole file, and the reader decodes whole pages of it: all of a column's, unless it is told where
 * those of the rows lie that are asked for. Few files say so themselves; the headers of their pages do.
 */

type RowGroup = FileMetaData["row_groups"][number];
type ColumnChunk = RowGroup["columns"][number];
type PageLocation = OffsetIndex["page_locations"][number];

/** Of what the pages unpack to; the rows made of them take some five times as much. */
export interface WindowBounds {
  /** Where a window ends, if a page does. */
  readonly window: number;
  /** What is too much. */
  readonly most: number;
}

const BOUNDS: WindowBounds = { window: 8 << 20, most: 128 << 20 };
/** A value takes as much, even one of a million that a page stores as one. */
const VALUE_BYTES = 8;
/** Of a header, which may hold the least and the greatest value of its page. */
const HEADER_BYTES = 8 << 10;

/** Rows of a file that are decoded together. */
export interface Window {
  readonly rowStart: number;
  readonly rowEnd: number;
  /** What is decoded for it. */
  readonly bytes: number;
  /** By column; of columns that are not here the whole chunk is read. */
  readonly pageLocations: Readonly<Record<string, PageLocation[]>>;
}

export class TooMuchAtOnce extends Error {}

interface Page {
  readonly bytes: number;
  /** Within the row group; undefined where the page does not say how many rows it has. */
  readonly rows: number | undefined;
  readonly location: Omit<PageLocation, "first_row_index">;
}

interface Column {
  readonly name: string;
  readonly pages: readonly { readonly bytes: number; readonly first: number; readonly end: number }[];
  /** Of its dictionary, which each window needs. */
  readonly dictionaryBytes: number;
  /** Where its rows can be told. */
  readonly locations: PageLocation[] | undefined;
}

/**
 * Cuts a row group where pages begin.
 * @throws TooMuchAtOnce naming the row group, where a part of it that cannot be cut is too large
 */
export async function windowsOf(
  file: AsyncBuffer,
  metadata: FileMetaData,
  index: number,
  { window, most }: WindowBounds = BOUNDS,
): Promise<Window[]> {
  const group = metadata.row_groups[index]!;
  const before = metadata.row_groups.slice(0, index);
  const start = before.reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
  const rows = Number(group.num_rows);
  const schema = parquetSchema(metadata);
  const columns: Column[] = [];
  for (const chunk of group.columns) {
    const path = chunk.meta_data!.path_in_schema;
    columns.push(await columnOf(file, chunk, isFlatColumn(getTreePath(schema, path)), rows));
  }
  const pageLocations = Object.fromEntries(
    columns.flatMap(({ name, locations }) => (locations ? [[name, locations]] : [])),
  );
  return ends(columns, rows, window).map((end, i, all) => {
    const from = i === 0 ? 0 : all[i - 1]!;
    const bytes = bytesOf(columns, from, end);
    const range = { rowStart: start + from, rowEnd: start + end };
    if (bytes <= most) return { ...range, bytes, pageLocations };
    throw new TooMuchAtOnce(
      `needs ${bytes} bytes at once for the rows ${range.rowStart + 1} to ${range.rowEnd} of its row group ${index + 1}, and the limit is ${most}: write smaller row groups (row_group_size of pyarrow's write_table)`,
    );
  });
}

/** Where the windows of a row group end. */
function ends(columns: readonly Column[], rows: number, window: number): number[] {
  if (rows === 0) return [];
  // What must be decoded as a whole is so once.
  if (columns.some(({ locations }) => !locations)) return [rows];
  const pages = columns.flatMap((column) => column.pages).sort((a, b) => a.first - b.first);
  const found: number[] = [];
  let from = 0;
  let bytes = 0;
  for (const page of pages) {
    if (page.first > from && bytes + page.bytes > window) {
      found.push(page.first);
      from = page.first;
      bytes = 0;
    }
    bytes += page.bytes;
  }
  return [...found, rows];
}

/** What is decoded for some rows. */
function bytesOf(columns: readonly Column[], from: number, end: number): number {
  let bytes = 0;
  for (const { pages, dictionaryBytes } of columns) {
    bytes += dictionaryBytes;
    for (const page of pages) if (page.first < end && page.end > from) bytes += page.bytes;
  }
  return bytes;
}

async function columnOf(file: AsyncBuffer, chunk: ColumnChunk, flat: boolean, rows: number): Promise<Column> {
  const { path_in_schema, dictionary_page_offset, data_page_offset, total_compressed_size } =
    chunk.meta_data!;
  const start = Number(dictionary_page_offset || data_page_offset);
  const end = start + Number(total_compressed_size);
  // There would be made room for what is not there.
  const inside = (at: number) => {
    if (at > file.byteLength) throw new Error("a column ends behind the file");
  };
  inside(end);
  const pages: Page[] = [];
  let dictionaryBytes = 0;
  let counted = 0;
  // Where the rows can be told the reader stops at the last; what stands behind it is no page for certain.
  for (let at = start; at < end - 1 && counted < rows; ) {
    const { header, length } = await headerAt(file, at, end);
    const size = length + header.compressed_page_size;
    const { num_values = 0 } =
      header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header ?? {};
    const values = Math.max(0, num_values);
    const bytes = header.uncompressed_page_size + values * VALUE_BYTES;
    if (header.type === "DICTIONARY_PAGE") dictionaryBytes += bytes;
    else {
      const has = header.data_page_header_v2?.num_rows ?? (flat ? values : undefined);
      pages.push({ bytes, rows: has, location: { offset: BigInt(at), compressed_page_size: size } });
      counted += has ?? 0;
    }
    at += size;
    inside(at);
  }
  const firsts = told(pages) ?? (await indexed(file, chunk, pages));
  return {
    name: path_in_schema.join("."),
    dictionaryBytes,
    pages: pages.map(({ bytes }, i) => ({ bytes, first: firsts?.[i] ?? 0, end: firsts?.[i + 1] ?? rows })),
    locations:
      firsts && pages.map(({ location }, i) => ({ ...location, first_row_index: BigInt(firsts[i]!) })),
  };
}

/** First rows of the pages, as a page index has them. */
async function indexed(file: AsyncBuffer, chunk: ColumnChunk, pages: readonly Page[]) {
  const { offset_index_offset, offset_index_length } = chunk;
  if (!offset_index_offset || !offset_index_length) return undefined;
  const start = Number(offset_index_offset);
  const end = Math.min(start + offset_index_length, file.byteLength);
  const view = new DataView(await file.slice(start, end));
  const { page_locations } = readOffsetIndex({ view, offset: 0 });
  const firsts = page_locations.map(({ first_row_index }) => Number(first_row_index));
  const same =
    page_locations.length === pages.length &&
    page_locations.every(({ offset }, i) => offset === pages[i]!.location.offset) &&
    firsts.every((first, i) => first >= (firsts[i - 1] ?? 0));
  return same ? firsts : undefined;
}

/** First rows of the pages, where each says how many rows it has. */
function told(pages: readonly Page[]): number[] | undefined {
  const firsts: number[] = [];
  let next = 0;
  for (const { rows } of pages) {
    if (rows === undefined) return undefined;
    firsts.push(next);
    next += rows;
  }
  return firsts;
}

async function headerAt(file: AsyncBuffer, start: number, end: number) {
  for (let size = HEADER_BYTES; ; size *= 4) {
    const upTo = Math.min(start + size, end);
    const reader = { view: new DataView(await file.slice(start, upTo)), offset: 0 };
    try {
      const header = parquetHeader(reader);
      // Backwards there would be no end.
      if (header.compressed_page_size >= 0 && header.uncompressed_page_size >= 0)
        return { header, length: reader.offset };
    } catch (cause) {
      if (upTo === end) throw cause;
    }
    if (upTo === end) throw new Error("a page has no size");
  }
}
