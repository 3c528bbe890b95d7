import { gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Block, MAX_RECORD_BYTES } from "./block.ts";
import { csvBlocks } from "./csv.ts";
import { blocksOf } from "./read.ts";
import { eachRecord } from "./records.ts";

type Found = [number: number, value: unknown];

/** The file in chunks of so many bytes. */
async function* chunks(data: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += size) yield data.subarray(at, at + size);
}

/** Every record by its line: its columns, or why it has none. */
async function read(text: string | Buffer, size = 1 << 20): Promise<Found[]> {
  const found: Found[] = [];
  for await (const block of csvBlocks("a.csv", chunks(Buffer.from(text), size)))
    eachRecord(block, (number, value, problem) => found.push([number, problem ?? value]));
  return found;
}

describe("well-formed CSV", () => {
  test.each([
    [
      "quotes, commas and lines in cells",
      'a,b\n"1, ""x""\n2",3\n4,\n',
      [
        [2, { a: '1, "x"\n2', b: "3" }],
        [4, { a: "4", b: "" }],
      ],
    ],
    [
      "CRLF, and no end of the last line",
      'a,b\r\n"1",2\r\n3,"4"',
      [
        [2, { a: "1", b: "2" }],
        [3, { a: "3", b: "4" }],
      ],
    ],
    [
      "lines that end in CR",
      'a,b\r1,"2\r3"\r4,5\r',
      [
        [2, { a: "1", b: "2\r3" }],
        [4, { a: "4", b: "5" }],
      ],
    ],
    [
      "empty lines",
      "\n\na,b\n\n1,2\n\n\n3,4\n\n",
      [
        [5, { a: "1", b: "2" }],
        [8, { a: "3", b: "4" }],
      ],
    ],
    ["a byte order mark before a quote", '\ufeff"a\nb",c\n1,2\n', [[3, { "a\nb": "1", c: "2" }]]],
    ["a column of any name", "__proto__,b\n1,2\n", [[2, JSON.parse('{"__proto__":"1","b":"2"}')]]],
    ["a header alone", "a,b\n", []],
    ["nothing", "", []],
  ] as const)("%s", async (_, text, expected) => {
    for (const size of [5, 1 << 20]) expect(await read(text, size)).toEqual(expected);
  });

  test("is read as csv-parse reads it, wherever its chunks end", async () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", '"', ",", "\n", "ü", " ", "\u{1f600}"),
      maxLength: 6,
    });
    const rows = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 });
    const size = fc.integer({ min: 3, max: 20 });
    await fc.assert(
      fc.asyncProperty(rows, size, fc.constantFrom("\n", "\r\n"), async (list, bytes, end) => {
        const quoted = (text: string) =>
          /[",\n]/.test(text) || text === "" ? `"${text.replaceAll('"', '""')}"` : text;
        const text = [["a", "b"], ...list].map((row) => row.map(quoted).join(",")).join(end);
        const expected = parse(text, { columns: true, record_delimiter: end });
        expect((await read(text, bytes)).map(([, value]) => value)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a record that cannot be read is a bad row, and those around it are rows", () => {
  const before = Buffer.from('a,b\n"1\n1",2\n');
  const after = Buffer.from("\n3,4\n");
  const long = "x".repeat(MAX_RECORD_BYTES + 1);

  test.each<[string, Buffer, string]>([
    ["too few cells", Buffer.from("x"), "the record has 1 cell, and the header 2"],
    ["too many cells", Buffer.from("x,y,z"), "the record has 3 cells, and the header 2"],
    ["a byte that is not UTF-8", Buffer.from([0x78, 0x2c, 0xff]), "the record is not UTF-8"],
    ["a quote in a cell", Buffer.from('5" disk,y'), "a quote stands inside of a cell"],
    ["text behind a closing quote", Buffer.from('"a" b,y'), "a quote stands inside of a cell"],
    ["a quote that is not doubled", Buffer.from('"a "b" c",y'), "a quote stands inside of a cell"],
    [
      "too many bytes",
      Buffer.from(`${long},y`),
      `the record has ${long.length + 2} bytes; the limit is ${MAX_RECORD_BYTES}`,
    ],
    [
      "too many bytes in quotes",
      Buffer.from(`"${long}",y`),
      `the record has ${long.length + 4} bytes; the limit is ${MAX_RECORD_BYTES}`,
    ],
  ])("%s", async (_, bad, reason) => {
    const size = bad.byteLength > 1000 ? 1 << 20 : 5;
    expect(await read(Buffer.concat([before, bad, after]), size)).toEqual([
      [2, { a: "1\n1", b: "2" }],
      [4, reason],
      [5, { a: "3", b: "4" }],
    ]);
  });

  test("many of them are in one block with the others, each by its line", async () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => (i % 2 === 0 ? "1,2" : "1"));
    const blocks: Block[] = [];
    const data = gzipSync(["a,b", ...lines].join("\n"));
    for await (const block of blocksOf({ path: "a.csv.gz", data })) blocks.push(block);
    expect(blocks).toHaveLength(1);
    expect(blocks[0]).toMatchObject({ first: 2, count: 10_000 });
    expect([...blocks[0]!.problems!.keys()]).toEqual(Array.from({ length: 5_000 }, (_, i) => 2 * i + 1));
  });
});

test.each([
  [
    "a quote that is never closed",
    'a,b\n1,2\n3,"4\n5,6\n',
    "a.csv is no CSV: the quote of line 3 is never closed",
  ],
  [
    "a header that is not UTF-8",
    Buffer.from([0x61, 0xff, 0x0a]),
    "a.csv has no header: in line 1 the record is not UTF-8",
  ],
  ["a header with a lone quote", 'a"b,c\n', "a.csv has no header: in line 1 a quote stands inside of a cell"],
])("the file as a whole cannot be read with %s", async (_, text, message) => {
  await expect(read(text)).rejects.toMatchObject({ code: "UnreadableData", message });
});
