import { describe, expect, test } from "vitest";
import { BLOCK_BYTES, type Block, MAX_RECORD_BYTES } from "./block.ts";
import { lineBlocks, recycle } from "./lines.ts";

/** Blocks of a text, read so many bytes at a time; each is given back before the next is asked for, as tasks do. */
async function blocks(
  text: Buffer,
  atOnce = BLOCK_BYTES,
): Promise<(Omit<Block, "lines"> & { text: string })[]> {
  let at = 0;
  const read = async (into: Buffer) => {
    const got = text.copy(into, 0, at, at + Math.min(atOnce, into.byteLength));
    at += got;
    return got;
  };
  const found = [];
  for await (const { lines, ...block } of lineBlocks(read)) {
    found.push({ ...block, text: Buffer.from(lines).toString("latin1") });
    lines.fill(0xff);
    recycle(lines);
  }
  return found;
}

const line = (bytes: number, letter = "x") => `${letter.repeat(bytes)}\n`;
const LINES: Readonly<Record<string, readonly string[]>> = {
  nothing: [],
  "one line without an end": ["abc"],
  "blank lines": ["\n", "\n", "a\n", "\n"],
  "a whole block": [line(BLOCK_BYTES - 1)],
  "a whole block without an end": ["x".repeat(BLOCK_BYTES)],
  "one byte more than a block": [line(BLOCK_BYTES)],
  "many lines": Array.from({ length: 90_000 }, (_, i) => line(i % 200, String(i % 10))),
  "a long line before short ones": [line(6 << 20), "a\n", "b"],
  "long lines among short ones": [
    "a\n",
    line(9 << 20),
    "b\n",
    line(5 << 20, "y"),
    line(12 << 20, "z"),
    "c\n",
  ],
  "the longest line": ["a\n", line(MAX_RECORD_BYTES), "b\n"],
  "the longest line at the end": ["a\n", "x".repeat(MAX_RECORD_BYTES)],
};

describe("lines come whole and in order", () => {
  test.each(Object.entries(LINES))("%s", async (_, lines) => {
    const text = lines.join("");
    for (const atOnce of [BLOCK_BYTES, 777_777]) {
      const found = await blocks(Buffer.from(text), atOnce);
      expect(found.map((block) => block.text).join("") === text).toBe(true);
      let first = 1;
      for (const block of found) {
        expect(block).toMatchObject({
          first,
          count: block.text.split("\n").length - (block.text.endsWith("\n") ? 1 : 0),
        });
        expect(block.problems).toBeUndefined();
        first += block.count;
      }
      expect(first - 1).toBe(lines.length);
    }
  });
});

test.each([
  ["at the end", []],
  ["before others", ["b\n", line(5 << 20), "c"]],
])("a line that is too long is told by its number and length, wherever it stands: %s", async (_, after) => {
  for (const bytes of [MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES + (9 << 20)]) {
    const long = "x".repeat(bytes) + (after.length > 0 ? "\n" : "");
    const [before, told, ...others] = await blocks(Buffer.from(["a\n", long, ...after].join("")));
    expect(before).toMatchObject({ text: "a\n", first: 1, count: 1 });
    expect(told).toMatchObject({
      first: 2,
      count: 1,
      problems: new Map([[0, `the line has ${bytes} bytes; the limit is ${MAX_RECORD_BYTES}`]]),
    });
    expect(others.map(({ text }) => text).join("") === after.join("")).toBe(true);
  }
});

test("long lines leave no memory behind that nobody counts", async () => {
  const long = Buffer.from(line(5 << 20));
  let left = 100;
  const before = process.memoryUsage().arrayBuffers;
  const read = async (into: Buffer) => {
    const got = left === 0 ? 0 : long.copy(into, 0, at, at + into.byteLength);
    at = (at + got) % long.byteLength;
    if (at === 0 && got > 0) left--;
    return got;
  };
  let at = 0;
  let most = 0;
  for await (const { lines } of lineBlocks(read)) {
    recycle(lines);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(most).toBeLessThan(400 << 20);
});
