import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetMetadataAsync } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DatasetSpec, datasetSpec } from "../../schemas/dataset.ts";
import type { MemoryFile } from "./block.ts";
import { gateFaults } from "./gates.ts";
import { asyncBufferFrom, parquetReadObjects } from "./parquet.ts";
import { type Prepared, prepare, prepareDataset } from "./prepare.ts";
import { bytesOf } from "./publish.ts";
import { textOf } from "./row.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const lines = (...rows: unknown[]): MemoryFile => ({
  path: "rows.jsonl",
  data: bytes(rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n")),
});
const pair = (prompt: string, completion = "yes") => ({ prompt, completion });
const parquetOf = (rows: readonly ReturnType<typeof pair>[]) => {
  const columnData = (["prompt", "completion"] as const).map((name) => ({
    name,
    data: rows.map((row) => row[name]),
    type: "STRING" as const,
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData, codec: "SNAPPY" }));
};

async function run(
  files: MemoryFile | MemoryFile[],
  spec: object = {},
  cases: Record<string, string[]> = {},
): Promise<Prepared> {
  const parsed: DatasetSpec = datasetSpec.parse({
    format: "completion",
    sources: [{ name: "main", files: [{ path: "rows.jsonl" }] }],
    ...spec,
  });
  return prepare(parsed, [{ name: "main", files: [files].flat() }], {
    cases: new Map(Object.entries(cases)),
  });
}
const texts = ({ splits }: Prepared) => splits.flatMap(({ rows }) => rows.map(({ row }) => textOf(row)));
const step = (type: string, section: object = {}) => ({ steps: [{ name: "s", type, ...section }] });

describe("the schema of rows", () => {
  const schema = {
    required: ["team"],
    properties: { team: { enum: ["billing", "access"] }, prompt: { minLength: 2 } },
  };
  const rows = lines(
    { ...pair("aa"), team: "billing" },
    pair("bb"),
    { ...pair("cc"), team: "sales" },
    { ...pair("d"), team: "access" },
  );

  test("makes what does not satisfy it a bad row, which is named with the reason and not with its text", async () => {
    await expect(run(rows, { schema })).rejects.toMatchObject({
      code: "BadRows",
      message:
        "3 bad rows: rows.jsonl:2: row must have required property 'team'; rows.jsonl:3: row/team must be equal to one of the allowed values; rows.jsonl:4: row/prompt must NOT have fewer than 2 characters",
    });
    const { read, steps, splits } = await run(rows, { schema, onBadRow: "Drop" });
    expect({ read, steps, rows: splits[0]?.rows.length }).toMatchObject({
      read: 4,
      steps: [{ name: "bad-rows", dropped: 3 }],
      rows: 1,
    });
  });

  test("that is none is refused", async () => {
    await expect(run(rows, { schema: { type: "nothing" } })).rejects.toMatchObject({ code: "InvalidSchema" });
  });
});

describe("reading", () => {
  test("rows of each format, extra columns left out", async () => {
    const chat = { messages: [{ role: "user", content: "a" }], id: 1 };
    const { splits } = await run(lines(chat), { format: "chat" });
    expect(splits[0]?.rows).toEqual([
      { origin: "rows.jsonl:1", row: { messages: [{ role: "user", content: "a" }] } },
    ]);
    const kto = await run(lines({ prompt: "p", completion: "c", label: false }), { format: "kto" });
    expect(kto.splits[0]?.rows[0]?.row).toEqual({ prompt: "p", completion: "c", label: false });
  });

  test("CSV, gzip and Parquet hold the same rows as JSONL", async () => {
    const csv = { path: "a.csv", data: bytes('prompt,completion\n"a, b",yes\nc,no\n') };
    const gz = { path: "a.jsonl.gz", data: gzipSync(lines(pair("a, b"), pair("c", "no")).data) };
    const parquet = { path: "a.parquet", data: parquetOf([pair("a, b"), pair("c", "no")]) };
    for (const file of [csv, gz, parquet]) expect(texts(await run(file))).toEqual(["a, b\nyes", "c\nno"]);
  });

  test.each<[string, MemoryFile, string]>([
    ["JSON that is none", lines(pair("a"), "{"), "rows.jsonl:2: the line is not JSON"],
    ["a missing column", lines({ prompt: "a" }), "rows.jsonl:1: the column completion is missing"],
    [
      "wrong columns",
      { path: "a.csv", data: bytes("question,answer\na,b\n") },
      "a.csv:2: the column completion is missing",
    ],
    [
      "mixed types",
      lines(pair("a"), { prompt: 3, completion: "x" }),
      "rows.jsonl:2: prompt must be text, not number",
    ],
    [
      "bad UTF-8",
      { path: "a.jsonl", data: Uint8Array.of(0x22, 0xff, 0x22) },
      "a.jsonl:1: the line is not UTF-8",
    ],
    [
      "a long line",
      lines("x".repeat(17 << 20)),
      `rows.jsonl:1: the line has ${17 << 20} bytes; the limit is 16777216`,
    ],
  ])("names the row with %s, or leaves it out and counts it", async (_, file, said) => {
    await expect(run(file)).rejects.toMatchObject({ code: "BadRows", message: `1 bad rows: ${said}` });
    const good = { ...lines(pair("good")), path: "good.jsonl" };
    const { read, steps, splits } = await run([file, good], { onBadRow: "Drop" });
    expect(steps).toMatchObject([{ name: "bad-rows", rows: read, dropped: 1 }]);
    expect(steps[0]?.samples.map(({ origin, reason }) => `${origin}: ${reason}`)).toEqual([said]);
    expect(splits[0]?.rows).toHaveLength(read - 1);
  });

  test.each<[string, MemoryFile, RegExp]>([
    [
      "that is cut off, with gzip",
      { path: "a.jsonl.gz", data: gzipSync(bytes("x".repeat(999))).subarray(0, 20) },
      /a\.jsonl\.gz ends in the middle/,
    ],
    [
      "that is no gzip",
      { path: "a.jsonl.gz", data: bytes("x") },
      /a\.jsonl\.gz (is no gzip data|ends in the middle)/,
    ],
    [
      "that is no Parquet",
      { path: "a.parquet", data: bytes("nothing of the kind") },
      /a\.parquet is no Parquet/,
    ],
    [
      "that is CSV with a lone quote",
      { path: "a.csv", data: bytes('prompt,completion\n"a,b\n') },
      /a\.csv is no CSV/,
    ],
    ["of an unknown kind", { path: "a.xlsx", data: bytes("") }, /a\.xlsx is no \.jsonl/],
    ["with nothing in it", lines(), /the source main has no rows/],
  ])("fails as a whole over a file %s, which is named, whatever onBadRow says", async (_, file, message) => {
    for (const onBadRow of ["Fail", "Drop"]) await expect(run(file, { onBadRow })).rejects.toThrow(message);
  });

  test("bad rows can be left out, and are counted", async () => {
    const { read, steps, splits } = await run(lines(pair("a"), "{", { prompt: "b" }), { onBadRow: "Drop" });
    expect([read, splits[0]?.rows.length]).toEqual([3, 1]);
    expect(steps).toMatchObject([{ name: "bad-rows", rows: 3, dropped: 2 }]);
    expect(steps[0]?.samples[0]).toEqual({ origin: "rows.jsonl:2", reason: "the line is not JSON" });
  });
});

describe("bad rows of a CSV file", () => {
  const data = Buffer.concat([
    bytes("prompt,completion\na,yes\nb\nc,"),
    Uint8Array.of(0xff),
    bytes(`\n"d\nd",no\n${"x".repeat(17 << 20)},no\ne,yes\n`),
  ]);
  const file = { path: "a.csv", data };

  test("are named by file and line", async () => {
    await expect(run(file)).rejects.toMatchObject({
      code: "BadRows",
      message:
        "3 bad rows: a.csv:3: the record has 1 cell, and the header 2; a.csv:4: the record is not UTF-8; a.csv:7: the record has 17825795 bytes; the limit is 16777216",
    });
  });

  // Rows that no step looks into are read another way.
  test.each([{}, step("exactDedup")])("are left out and counted: %j", async (spec) => {
    const { read, steps, splits } = await run(file, { onBadRow: "Drop", ...spec });
    expect(splits[0]?.rows).toEqual([
      { origin: "a.csv:2", row: pair("a") },
      { origin: "a.csv:5", row: pair("d\nd", "no") },
      { origin: "a.csv:8", row: pair("e") },
    ]);
    expect(read).toBe(6);
    expect(steps[0]).toMatchObject({ name: "bad-rows", rows: 6, dropped: 3 });
    expect(steps[0]?.samples.map(({ origin }) => origin)).toEqual(["a.csv:3", "a.csv:4", "a.csv:7"]);
  });
});

describe("kto rows", () => {
  const format = "kto";
  const rated = (label: unknown) => ({ prompt: "p", completion: "c", label });
  const labels = ({ splits }: Prepared) => splits[0]?.rows.map(({ row }) => row.label);

  test("have labels as CSV writes them: by hand, pandas, spreadsheets, numbers", async () => {
    const cells = ["true", "false", "True", "False", "TRUE", "FALSE", "1", "0"];
    const data = bytes(["prompt,completion,label", ...cells.map((cell) => `p,c,${cell}`)].join("\n"));
    const prepared = await run({ path: "a.csv", data }, { format });
    expect(labels(prepared)).toEqual(cells.map((_, i) => i % 2 === 0));
  });

  test("are read from Parquet with a column of booleans", async () => {
    const columnData = [
      { name: "prompt", data: ["p", "p"], type: "STRING" as const },
      { name: "completion", data: ["c", "c"], type: "STRING" as const },
      { name: "label", data: [true, false], type: "BOOLEAN" as const },
    ];
    const data = new Uint8Array(parquetWriteBuffer({ columnData }));
    const { splits } = await run({ path: "a.parquet", data }, { format });
    expect(splits[0]?.rows.map(({ row }) => row)).toEqual([rated(true), rated(false)]);
  });

  test.each(["yes", "2", "", 1, 0, null])("with the label %j are bad rows", async (label) => {
    await expect(run(lines(rated(true), rated(label)), { format })).rejects.toThrow(
      label === null
        ? "rows.jsonl:2: the column label is missing"
        : "rows.jsonl:2: label must be true or false",
    );
  });
});

describe("chat rows", () => {
  const format = "chat";
  const chat = (...contents: string[]) => ({
    messages: contents.map((content, i) => ({ content, role: i % 2 === 0 ? "user" : "assistant" })),
  });
  const rows = [chat('Hi, "you"', "Hello"), chat("ü\nx", "y")];
  const cells = rows.map(({ messages }) => JSON.stringify(messages));

  test("are read from cells of CSV and of Parquet, and from a nested column", async () => {
    const quoted = cells.map((cell) => `"${cell.replaceAll('"', '""')}"`);
    const text = { columnData: [{ name: "messages", data: cells, type: "STRING" as const }] };
    const files = [
      { path: "a.csv", data: bytes(["messages", ...quoted].join("\n")) },
      { path: "a.parquet", data: new Uint8Array(parquetWriteBuffer(text)) },
    ];
    for (const file of files)
      expect((await run(file, { format })).splits[0]?.rows.map(({ row }) => row)).toEqual(rows);
    const nested = await readFile(join(import.meta.dirname, "testdata", "pages-index.parquet"));
    // Every fourth of its rows has no messages.
    const { read, steps, splits } = await run(
      { path: "a.parquet", data: new Uint8Array(nested) },
      { format, onBadRow: "Drop" },
    );
    expect([read, steps[0]?.dropped, splits[0]?.rows.length]).toEqual([400, 100, 300]);
    expect(splits[0]?.rows[1]?.row).toEqual({
      messages: [
        { content: "turn 2.0", role: "user" },
        { content: "turn 2.1", role: "user" },
      ],
    });
  });

  test("whose cell is no list of messages are named", async () => {
    const data = bytes('messages\nhello\n"[{""role"":""user""}]"\n');
    await expect(run({ path: "a.csv", data }, { format })).rejects.toThrow(
      "2 bad rows: a.csv:2: messages must be a list; a.csv:3: messages[0].content must be text",
    );
  });

  test("that are short are near-duplicates by all their words, whatever the system message says", async () => {
    const system = (content: string, { messages }: ReturnType<typeof chat>) => ({
      messages: [{ content, role: "system" }, ...messages],
    });
    const list = [
      chat("Where is it?", "Here."),
      system("Be brief.", chat("where is it", "here")),
      system("Be brief.", chat("Where was it?", "Here.")),
      chat("Where is it?", "There."),
    ];
    const { steps, splits } = await run(lines(...list), { format, ...step("nearDedup") });
    expect(splits[0]?.rows.map(({ origin }) => origin.slice(-1))).toEqual(["1", "3", "4"]);
    expect(steps[0]?.samples).toEqual([{ origin: "rows.jsonl:2", reason: "like rows.jsonl:1" }]);
  });
});

describe("the weight of a source", () => {
  const rows = Array.from({ length: 1_000 }, (_, i) => pair(`row ${i}`));
  const weighted = (weight: number, list: readonly object[] = rows) =>
    run(lines(...list), { sources: [{ name: "main", files: [{ path: "rows.jsonl" }], weight }] });

  test("takes its share of the rows, the same ones in whatever order they come, and counts the others", async () => {
    const { read, steps, splits } = await weighted(0.3);
    const taken = splits[0]!.rows.length;
    // Of 1000 draws at 0.3 the standard deviation is 14.5.
    expect(Math.abs(taken - 300)).toBeLessThan(60);
    expect([read, steps]).toMatchObject([1_000, [{ name: "weights", rows: 1_000, dropped: 1_000 - taken }]]);
    const again = await weighted(0.3, rows.toReversed());
    expect(texts(again).toSorted()).toEqual(texts({ ...again, splits }).toSorted());
  });

  test("of 1 takes all of them, and a larger one all that a smaller one takes", async () => {
    const all = await weighted(1);
    expect([texts(all).length, all.steps]).toEqual([1_000, []]);
    const more = new Set(texts(await weighted(0.6)));
    expect(texts(await weighted(0.3)).filter((text) => !more.has(text))).toEqual([]);
  });
});

describe("preference rows", () => {
  const format = "preference";
  const choice = (prompt: string, chosen: string, rejected: string) => ({ prompt, chosen, rejected });

  test("are read from JSONL, CSV and Parquet, extra columns left out", async () => {
    const rows = [choice("a, b", "yes", "no"), choice("c", "nö", "ja")];
    const csv = 'rejected,prompt,note,chosen\nno,"a, b",x,yes\nja,c,y,nö\n';
    const columnData = (["rejected", "prompt", "chosen"] as const).map((name) => ({
      ...{ name, type: "STRING" as const },
      data: rows.map((row) => row[name]),
    }));
    const files = [
      lines(...rows.map((row) => ({ ...row, score: 3 }))),
      { path: "a.csv", data: bytes(csv) },
      { path: "a.parquet", data: new Uint8Array(parquetWriteBuffer({ columnData })) },
    ];
    for (const file of files) {
      const { read, splits } = await run(file, { format });
      expect([read, splits[0]?.rows.map(({ row }) => row)]).toEqual([2, rows]);
    }
  });

  test.each([
    [{ prompt: "a", chosen: "b" }, "the column rejected is missing"],
    [{ prompt: "a", rejected: "b" }, "the column chosen is missing"],
    [{ ...choice("a", "b", "c"), rejected: ["c"] }, "rejected must be text, not a list"],
  ])("that are none are named: %j", async (row, reason) => {
    await expect(run(lines(choice("a", "b", "c"), row), { format })).rejects.toThrow(
      `1 bad rows: rows.jsonl:2: ${reason}`,
    );
  });

  test("are looked at in both answers by every step", async () => {
    const rows = [
      choice("p", "ask ada@example.org", "or bob@example.org"),
      choice("p", "same", "one"),
      choice("p", "same", "other"),
      choice("p", "same", "one"),
      choice("p", "fine", "tell me: is it here, please"),
    ];
    const { steps, splits } = await run(
      lines(...rows),
      {
        format,
        steps: [
          { name: "privacy", type: "pii" },
          { name: "same", type: "exactDedup" },
          { name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "suite" }] } },
          { name: "words", type: "filter", filter: { keep: "words >= 3 && row.rejected != 'other'" } },
        ],
      },
      { suite: ["is it here"] },
    );
    expect(splits[0]?.rows.map(({ row }) => row)).toEqual([
      choice("p", "ask [EMAIL]", "or [EMAIL]"),
      choice("p", "same", "one"),
    ]);
    expect(steps.map(({ name, dropped, changed }) => [name, dropped, changed])).toEqual([
      ["privacy", 0, 1],
      ["same", 1, 0],
      ["cases", 1, 0],
      ["words", 1, 0],
    ]);
  });
});

describe("steps", () => {
  test("normalize: NFC, line ends, invisible characters", async () => {
    const { splits, steps } = await run(
      lines(pair("Cafe\u0301 \u200b \r\nb  "), pair("b")),
      step("normalize"),
    );
    expect(splits[0]?.rows[0]?.row.prompt).toBe("Caf\u00e9\nb");
    expect(steps[0]).toMatchObject({ dropped: 0, changed: 1 });
  });

  test("exactDedup keeps the first and says of which", async () => {
    const { steps, splits } = await run(lines(pair("a"), pair("b"), pair("a")), step("exactDedup"));
    expect(splits[0]?.rows.map(({ origin }) => origin)).toEqual(["rows.jsonl:1", "rows.jsonl:2"]);
    expect(steps[0]?.samples).toEqual([{ origin: "rows.jsonl:3", reason: "the same as rows.jsonl:1" }]);
  });

  test("nearDedup finds long rows that differ in a word, and short ones that differ in case and punctuation", async () => {
    const long =
      "the printer on the second floor prints every page twice since the update of last night and nobody knows why it does";
    const rows = [
      pair(long),
      pair(`${long} today`),
      pair("Where is it?"),
      pair("where is it"),
      pair("Where was it?"),
    ];
    const { splits } = await run(lines(...rows), step("nearDedup"));
    expect(splits[0]?.rows.map(({ origin }) => origin.slice(-1))).toEqual(["1", "3", "5"]);
  });

  test("length and language", async () => {
    const german = pair("Der Drucker im zweiten Stock druckt seit gestern jede Seite doppelt", "Hardware");
    const english = pair(
      "The printer on the second floor prints every page twice since yesterday",
      "hardware",
    );
    expect(
      texts(await run(lines(german, english, pair("ok")), step("language", { language: { allow: ["en"] } }))),
    ).toEqual([`${english.prompt}\nhardware`, "ok\nyes"]);
    expect(
      texts(await run(lines(english, pair("ok")), step("length", { length: { minWords: 5 } }))),
    ).toHaveLength(1);
  });

  test("pii is redacted, counted or dropped, and never told", async () => {
    const rows = [
      pair("Write to ada@example.org or +44 20 7946 0958."),
      pair("IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, from 192.0.2.7"),
      pair("Version 1.2.3, order 4111 1111 1111 1112, 2024-05-01, DE89 3704 0044 0532 0130 02"),
    ];
    const redacted = await run(lines(...rows), step("pii"));
    expect(texts(redacted)).toEqual([
      "Write to [EMAIL] or [PHONE].\nyes",
      "IBAN [IBAN], card [CARD], from [IP]\nyes",
      "Version 1.2.3, order 4111 1111 1111 1112, 2024-05-01, DE89 3704 0044 0532 0130 02\nyes",
    ]);
    expect(redacted.piiRows).toBe(0);
    const reported = await run(lines(...rows), step("pii", { pii: { action: "Report" } }));
    expect(texts(reported)).toEqual(rows.map((row) => textOf(row)));
    expect([reported.piiRows, reported.steps]).toMatchObject([2, [{ rows: 3, dropped: 0, changed: 2 }]]);
    const cards = await run(lines(...rows), step("pii", { pii: { action: "Report", kinds: ["card"] } }));
    expect([cards.piiRows, cards.steps]).toMatchObject([2, [{ rows: 3, dropped: 0, changed: 1 }]]);
    const dropped = await run(lines(...rows), step("pii", { pii: { action: "Drop", kinds: ["email"] } }));
    expect(dropped.steps[0]?.samples).toEqual([{ origin: "rows.jsonl:1", reason: "holds email" }]);
  });

  test("decontaminate drops rows that share words with a case, or hold a short one", async () => {
    const cases = { suite: ["one two three four five six seven eight nine", "is it here", "yes"] };
    const rows = [
      pair("zero one two three four five six seven EIGHT!"),
      pair("tell me: is it here, please"),
      pair("is it there"),
    ];
    const { splits, steps } = await run(
      lines(...rows),
      step("decontaminate", { decontaminate: { against: [{ name: "suite" }] } }),
      cases,
    );
    expect(splits[0]?.rows.map(({ origin }) => origin)).toEqual(["rows.jsonl:3"]);
    expect(steps[0]?.samples.map(({ reason }) => reason)).toEqual([
      "shares 8 words with a case of suite",
      "holds a case of suite",
    ]);
  });

  test("sample draws the same rows in whatever order they come", async () => {
    const rows = Array.from({ length: 50 }, (_, i) => pair(`row ${i}`));
    const sample = step("sample", { sample: { rows: 7 } });
    const one = texts(await run(lines(...rows), sample));
    const two = texts(await run(lines(...rows.toReversed()), sample));
    expect(one).toHaveLength(7);
    expect(two.toSorted()).toEqual(one.toSorted());
  });
});

describe("splits", () => {
  test("are near their share, disjoint, and keep near-duplicates together", async () => {
    const words =
      "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda my nu xi omikron pi rho sigma tau".split(
        " ",
      );
    const rows = Array.from({ length: 300 }, (_, i) => {
      const text = words.map((word, j) => `${word}${(i * 7 + j * 3) % 101}`).join(" ");
      return [pair(text), pair(`${text} again`)];
    }).flat();
    const { splits } = await run(lines(...rows), {
      splits: [
        { name: "train", percent: 80 },
        { name: "test", percent: 20 },
      ],
    });
    const [train, held] = splits.map((split) =>
      split.rows.map(({ row }) => textOf(row).replace(" again", "")),
    );
    expect(train!.length + held!.length).toBe(600);
    expect(held!.length / 600).toBeGreaterThan(0.1);
    expect(held!.length / 600).toBeLessThan(0.3);
    expect(held!.filter((text) => train!.includes(text))).toEqual([]);
  });
});

describe("what is published", () => {
  const spec = datasetSpec.parse({
    format: "completion",
    sources: [{ name: "main", files: [{ path: "rows.jsonl" }] }],
    license: "MIT",
  });
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-prepare-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const artifactOf = async (file: MemoryFile, more: object = {}, onProgress?: (done: number) => void) => {
    const sources = [{ name: "main", files: [file] }];
    const parsed = { ...spec, ...datasetSpec.partial().parse(more) };
    const input = { name: "tickets", spec: parsed, sources, cases: new Map(), folder };
    const outcome = await prepareDataset(input, undefined, onProgress);
    if ("fault" in outcome) throw new Error(outcome.fault.message);
    return outcome.artifact;
  };

  test("is the same for the same rows, and another for others", async () => {
    const one = await artifactOf(lines(pair("a"), pair("b")));
    expect((await artifactOf(lines(pair("a"), pair("b")))).digest).toBe(one.digest);
    expect((await artifactOf(lines(pair("a"), pair("c")))).digest).not.toBe(one.digest);
    expect(one.manifest.files.map(({ path }) => path)).toEqual([
      "README.md",
      "stats.json",
      "train.jsonl",
      "train.parquet",
    ]);
  });

  // Frozen: whoever changes it makes every Dataset of every user another one.
  test("has the digest that it had before", async () => {
    expect((await artifactOf(lines(pair("Grüße, \u{1f600}"), pair("b")))).digest).toMatchInlineSnapshot(
      `"sha256:3ec81fa4a007a8b81cdb94a64c2c486114023316892275b7388a21dcf9c65e6a"`,
    );
  });

  test("has a card that names the first rows that each step dropped, and shows none of them", async () => {
    const { files } = await artifactOf(lines(pair("ada@example.org"), pair("ada@example.org"), pair("b")), {
      steps: [{ name: "twice", type: "exactDedup" }],
    });
    const card = new TextDecoder().decode(await bytesOf(files.find(({ path }) => path === "README.md")!));
    expect(card).toContain("- twice: `rows.jsonl:2`, `the same as rows.jsonl:1`\n");
    expect(card).not.toContain("ada@example.org");
  });

  test("says how far it is, ever further", async () => {
    const seen: number[] = [];
    const rows = Array.from({ length: 3000 }, (_, i) => pair(`row number ${i} ${"x ".repeat(2000)}`));
    const spec = { steps: [{ name: "near", type: "nearDedup" }] };
    await artifactOf(lines(...rows), spec, (done) => seen.push(done));
    expect(seen.length).toBeGreaterThan(2);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen[0]).toBeLessThan(0.6);
    expect(seen.at(-1)).toBe(1);
  });

  test("reads back from Parquet as it was", async () => {
    const { files } = await artifactOf(lines(pair("a\nb"), pair("ü")));
    expect(
      await parquetReadObjects(
        asyncBufferFrom(await bytesOf(files.find(({ path }) => path === "train.parquet")!)),
      ),
    ).toEqual([pair("a\nb"), pair("ü")]);
  });

  test("has the columns of preference rows in Parquet, and their canonical form in JSON lines", async () => {
    const row = { prompt: "a", chosen: "ü", rejected: "c" };
    const { files } = await artifactOf(lines(row), { format: "preference" });
    const of = (path: string) => bytesOf(files.find((each) => each.path === path)!);
    expect(await parquetReadObjects(asyncBufferFrom(await of("train.parquet")))).toEqual([row]);
    expect(new TextDecoder().decode(await of("train.jsonl"))).toBe(
      '{"chosen":"ü","prompt":"a","rejected":"c"}\n',
    );
  });

  test("has labels as booleans and messages as JSON text in Parquet", async () => {
    const parquet = async (file: MemoryFile, format: string) => {
      const { files } = await artifactOf(file, { format });
      const data = await bytesOf(files.find(({ path }) => path === "train.parquet")!);
      const { schema } = await parquetMetadataAsync(asyncBufferFrom(data));
      const columns = schema.slice(1).map(({ name, type }) => `${name} ${type}`);
      return { columns, rows: await parquetReadObjects(asyncBufferFrom(data)) };
    };
    const rated = [
      { prompt: "p", completion: "c", label: true },
      { prompt: "q", completion: "d", label: false },
    ];
    expect(await parquet(lines(...rated), "kto")).toEqual({
      columns: ["prompt BYTE_ARRAY", "completion BYTE_ARRAY", "label BOOLEAN"],
      rows: rated,
    });
    const messages = [{ role: "user", content: "ü" }];
    expect(await parquet(lines({ messages }), "chat")).toEqual({
      columns: ["messages BYTE_ARRAY"],
      rows: [{ messages: '[{"content":"ü","role":"user"}]' }],
    });
  });

  test("has a card with a histogram of the words per row", async () => {
    // With the completion: one word, two, three of four, and nine.
    const rows = [pair("", "a"), pair("a"), pair("a b"), pair("a b c"), pair("b c"), pair("a b c d e f g h")];
    const { files } = await artifactOf(lines(...rows));
    const card = new TextDecoder().decode(await bytesOf(files.find(({ path }) => path === "README.md")!));
    const bar = (length: number) => "#".repeat(length).padEnd(30);
    expect(card.slice(card.indexOf("## Words per row"))).toBe(
      `## Words per row

\`\`\`
up to      1  ${bar(10)} 1
up to      2  ${bar(10)} 1
up to      4  ${bar(30)} 3
up to     16  ${bar(10)} 1
\`\`\`
`,
    );
  });

  test("gates name what is not met", async () => {
    const prepared = await run(lines(pair("a"), pair("a"), pair("ada@example.org")), step("exactDedup"));
    expect(
      gateFaults({ minRows: 3, maxDropShare: 0.3, maxPiiRows: 0 }, prepared).map(({ message }) => message),
    ).toEqual([
      "2 rows are left; at least 3 are asked for",
      "33.3 % of the rows were dropped; at most 30.0 % may be",
      "1 rows hold personal data or keys; at most 0 may",
    ]);
    expect(gateFaults({ minRows: 2, maxDropShare: 0.5, maxPiiRows: 1 }, prepared)).toEqual([]);
  });
});

test("counts add up for any rows and steps", async () => {
  const text = fc.constantFrom("a b c", "a b c d", "x", "x y z w v u t", "ada@example.org", "");
  const types = fc.subarray(["normalize", "exactDedup", "nearDedup", "pii"]);
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 20 }), types, async (rows, names) => {
      const { read, steps, splits } = await run(lines(...rows.map((row) => pair(row))), {
        steps: names.map((type) => ({ name: type.toLowerCase(), type })),
      });
      expect(read).toBe(rows.length);
      const dropped = steps.reduce((sum, each) => sum + each.dropped, 0);
      expect(read - dropped).toBe(splits.reduce((sum, { rows: kept }) => sum + kept.length, 0));
    }),
    { numRuns: 50 },
  );
});
