import fc from "fast-check";
import { expect, test } from "vitest";
import { datasetSpec } from "../../schemas/dataset.ts";
import { FlatReader } from "./flat.ts";
import { prepare } from "./prepare.ts";

const spec = datasetSpec.parse({
  format: "completion",
  onBadRow: "Drop",
  sources: [{ name: "main", files: [{ path: "rows.jsonl" }] }],
  steps: [
    { name: "near", type: "nearDedup" },
    { name: "same", type: "exactDedup" },
  ],
  splits: [
    { name: "train", percent: 60 },
    { name: "test", percent: 40 },
  ],
});
const prepared = (lines: readonly string[]) => {
  const data = new TextEncoder().encode(lines.join("\n"));
  return prepare(spec, [{ name: "main", files: [{ path: "rows.jsonl", data }] }], { cases: new Map() });
};
const isFlat = (text: string) => {
  const reader = FlatReader.for("completion")!;
  reader.hold(Buffer.from(text));
  return reader.read(0) === Buffer.byteLength(text);
};

const word = fc.constantFrom(
  "one",
  "Two",
  "3",
  "n",
  'say "it"',
  "C:\\new",
  "a\nb",
  "\t",
  "\u0001",
  "Größe",
  "/",
  "{}",
);
const text = fc.array(word, { maxLength: 9 }).map((words) => words.join(" "));
const line = fc.oneof(
  fc.record({ prompt: text, completion: text }).map((row) => JSON.stringify(row)),
  fc
    .record({ completion: text, id: text, prompt: text })
    .map((row) => JSON.stringify(row, null, " ").replaceAll("\n", "")),
  fc.constantFrom(
    '{"prompt":"a","prompt":"b","completion":"c"}',
    '{"prompt":"a\\/b","completion":"\\u0063"}',
    '{"prompt":"a","completion":3}',
    '{"prompt":"a"}',
    '{"prompt":"a","completion":"b"',
    '{"prompt":"a","completion":"b"} x',
    '{"prompt":"a","completion":"b\\x"}',
    " ",
  ),
);

test("rows that are read where they lie are those that JSON.parse reads", async () => {
  // A list is no text, so that no line is flat.
  const slow = (lines: readonly string[]) => lines.map((each) => each.replace("{", '{"more":[],'));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 12 }), async (lines) => {
      const rows = ['{"prompt":"always","completion":"there"}', ...lines];
      expect(await prepared(rows)).toEqual(await prepared(slow(rows)));
    }),
    { numRuns: 60 },
  );
});

test.each([
  ['{"prompt":"a b","completion":"c"}', true],
  ['{ "completion": "c\\n\\"", "id": "7", "prompt": "a" }', true],
  ['{"prompt":"ä","completion":"c"}', false],
  ['{"prompt":"a","completion":"c","n":1}', false],
  ['{"prompt":"\\u0061","completion":"c"}', false],
])("%s: %s", (json, flat) => expect(isFlat(json)).toBe(flat));

test("a format that has more than texts has no such rows", () => {
  expect(FlatReader.for("preference")).toBeDefined();
  for (const format of ["chat", "kto"] as const) expect(FlatReader.for(format)).toBeUndefined();
});
