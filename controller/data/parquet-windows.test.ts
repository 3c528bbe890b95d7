import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadataAsync } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test, vi } from "vitest";
import { asyncBufferFrom, parquetBlocks } from "./parquet.ts";
import { windowsOf } from "./parquet-windows.ts";

const MOST = 1 << 20;

/** Rows of a few columns in one row group of many small pages. */
function written(rows: number, options: { pageSize?: number; offsetIndex?: boolean } = {}) {
  const text = (i: number) => `row ${i} ${"x".repeat((i * 7) % 50)}`;
  const column = (name: string, of: (i: number) => unknown, type: "STRING" | "BOOLEAN" | "JSON") => ({
    ...{ name, type, offsetIndex: options.offsetIndex ?? false },
    data: Array.from({ length: rows }, (_, i) => of(i)),
  });
  const columnData = [
    column("prompt", text, "STRING"),
    column("completion", (i) => `${i % 3}`, "STRING"),
    column("label", (i) => i % 2 === 0, "BOOLEAN"),
  ] as Parameters<typeof parquetWriteBuffer>[0]["columnData"];
  const pageSize = options.pageSize ?? 1_000;
  const data = parquetWriteBuffer({ columnData, rowGroupSize: rows, pageSize, codec: "UNCOMPRESSED" });
  return {
    data: new Uint8Array(data),
    rows: Array.from({ length: rows }, (_, i) => ({
      prompt: text(i),
      completion: `${i % 3}`,
      label: i % 2 === 0,
    })),
  };
}

/**
 * As pyarrow writes: `pq.write_table(table, path, data_page_size=512, write_batch_size=16, row_group_size=400,
 * use_dictionary=["completion"], store_schema=False, write_page_index=…)`. Its pages are of the first version, which
 * does not say how many rows a page of a nested column has.
 */
const PYARROW_ROWS = Array.from({ length: 400 }, (_, i) => ({
  prompt: `question ${i} ${"x".repeat(i % 7)}`,
  completion: i % 5 === 0 ? null : i % 2 === 0 ? "yes" : "no",
  messages: Array.from({ length: i % 4 }, (_, j) => ({ role: "user", content: `turn ${i}.${j}` })),
}));
const pyarrow = async (name: string) =>
  new Uint8Array(await readFile(join(import.meta.dirname, "testdata", name)));

async function read(data: Uint8Array, window: number, most = MOST): Promise<unknown[]> {
  const records: unknown[] = [];
  for await (const { lines } of parquetBlocks({ path: "rows.parquet", data }, { window, most }))
    for (const line of new TextDecoder().decode(lines).trimEnd().split("\n")) records.push(JSON.parse(line));
  return records;
}

async function windows(data: Uint8Array, window: number, most = MOST) {
  const file = asyncBufferFrom(data);
  return windowsOf(file, await parquetMetadataAsync(file), 0, { window, most });
}

describe("a row group is decoded in windows", () => {
  test.each([false, true])(
    "that are each of a few pages, and have every row once: page index %s",
    async (offsetIndex) => {
      const { data, rows } = written(2_000, { offsetIndex });
      const found = await windows(data, 20_000);
      expect(found.length).toBeGreaterThan(5);
      // A page of a column that is open at its start, and one that is open at its end, come to it.
      for (const { bytes } of found) expect(bytes).toBeLessThan(60_000);
      expect(found.map(({ rowStart }) => rowStart)).toEqual([
        0,
        ...found.slice(0, -1).map(({ rowEnd }) => rowEnd),
      ]);
      expect(found.at(-1)?.rowEnd).toBe(2_000);
      expect(await read(data, 20_000)).toEqual(rows);
    },
  );

  test("of which the pages alone are read, and not the column", async () => {
    const { data } = written(2_000);
    const slice = vi.spyOn(ArrayBuffer.prototype, "slice");
    try {
      await read(data, 20_000);
      // The file is looked at from its end; all else is headers and pages.
      const sizes = slice.mock.calls.flatMap(([start = 0, end = 0]) =>
        end === data.byteLength ? [] : [end - start],
      );
      expect(sizes.length).toBeGreaterThan(20);
      expect(Math.max(...sizes)).toBeLessThan(30_000);
      expect(data.byteLength).toBeGreaterThan(60_000);
    } finally {
      slice.mockRestore();
    }
  });

  test.each([
    ["pages.parquet", 1],
    ["pages-index.parquet", 12],
  ])(
    "in a file of pyarrow's, nested columns where a page index says where their rows are: %s",
    async (name, count) => {
      const data = await pyarrow(name);
      expect(await windows(data, 4_000)).toHaveLength(count);
      expect(await read(data, 4_000)).toEqual(PYARROW_ROWS);
      expect(await read(data, MOST)).toEqual(PYARROW_ROWS);
    },
  );

  test("a value of a page that has a million of them counts as one of them", async () => {
    const data = new Uint8Array(
      parquetWriteBuffer({
        columnData: [{ name: "prompt", data: Array(50_000).fill("the same"), type: "STRING" }],
        rowGroupSize: 50_000,
      }),
    );
    const [window] = await windows(data, MOST);
    expect(window?.bytes).toBeGreaterThan(8 * 50_000);
  });
});

test.each([
  ["a nested column without a page index", () => pyarrow("pages.parquet"), 10_000, "1 to 400"],
  ["a page that is too large", async () => written(2_000, { pageSize: 1 << 20 }).data, 50_000, "1 to 2000"],
])("what cannot be cut and is too large is refused before it is decoded: %s", async (_, file, most, rows) => {
  await expect(read(await file(), 4_000, most)).rejects.toMatchObject({
    code: "UnreadableData",
    message: expect.stringMatching(
      new RegExp(
        `^rows\\.parquet needs \\d+ bytes at once for the rows ${rows} of its row group 1, and the limit is ${most}: write smaller row groups \\(row_group_size of pyarrow's write_table\\)$`,
      ),
    ),
  });
});

test("the row group that is too large is named by its number, and its rows by theirs in the file", async () => {
  const data = new Uint8Array(
    parquetWriteBuffer({
      columnData: [{ name: "prompt", data: ["a", "b", "c", "x".repeat(5_000)], type: "STRING" }],
      rowGroupSize: 3,
    }),
  );
  await expect(read(data, 1_000, 4_000)).rejects.toThrow("for the rows 4 to 4 of its row group 2,");
});

test("a column that is said to end behind the file gets no room", async () => {
  const file = asyncBufferFrom(written(10).data);
  const metadata = await parquetMetadataAsync(file);
  metadata.row_groups[0]!.columns[1]!.meta_data!.total_compressed_size = 1n << 40n;
  await expect(windowsOf(file, metadata, 0)).rejects.toThrow("a column ends behind the file");
});

test("a file whose pages lead backwards comes to an end", async () => {
  const { data } = written(1);
  const file = asyncBufferFrom(data);
  const metadata = await parquetMetadataAsync(file);
  const start = Number(metadata.row_groups[0]!.columns[0]!.meta_data!.data_page_offset);
  const reader = { view: new DataView(await file.slice(start)), offset: 0 };
  parquetHeader(reader);
  // Type, size and compressed size are numbers of one byte here: a zigzag of minus the header's length leads to itself.
  expect([data[start], data[start + 2], data[start + 4]]).toEqual([0x15, 0x15, 0x15]);
  data[start + 5] = 2 * reader.offset - 1;
  await expect(read(data, MOST)).rejects.toMatchObject({
    code: "UnreadableData",
    message: expect.stringMatching(/a page has no size$/),
  });
});
