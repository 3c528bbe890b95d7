import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { datasetSpec } from "../../../schemas/dataset.ts";
import { diffDataset } from "./diff.ts";
import { diffInThread } from "./run.ts";
import type { DatasetDiff, DiffDataset, DiffInput } from "./types.ts";

const pair = (prompt: string, completion = "yes") => ({ prompt, completion });
const data = (rows: readonly unknown[]) =>
  new TextEncoder().encode(
    rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""),
  );

function dataset(rows: readonly unknown[], spec: object = {}): DiffDataset {
  const parsed = datasetSpec.parse({
    format: "completion",
    sources: [{ name: "main", files: [{ path: "rows.jsonl" }] }],
    ...spec,
  });
  const sources = [{ name: "main", files: [{ path: "rows.jsonl", data: data(rows) }] }];
  return { name: "d", spec: parsed, sources, cases: new Map() };
}

const diff = (
  base: DiffDataset | undefined,
  head: DiffDataset | undefined,
  cases: DiffInput["cases"] = [],
): Promise<DatasetDiff> => diffDataset({ base: base && [base], head: head && [head], cases });

const LONG = "the parcel was left at a neighbour who does not exist and nobody answers the phone";

describe("rows", () => {
  test("are the same, added, removed, or changed: another answer, or nearly the same words", async () => {
    const base = dataset([pair("a"), pair("b"), pair("c"), pair(LONG), pair("gone")]);
    const head = dataset([
      pair("b"),
      pair("a", "no"),
      pair("c"),
      pair(`${LONG} twice`),
      pair("x"),
      pair("y"),
    ]);
    expect((await diff(base, head)).rows).toEqual({
      same: 2,
      added: 2,
      removed: 1,
      changed: 2,
      near: true,
    });
  });

  test("count as often as they occur, in any order", async () => {
    const base = dataset([pair("a"), pair("a"), pair("b")]);
    const head = dataset([pair("b"), pair("a"), pair("a"), pair("a")]);
    expect((await diff(base, head)).rows).toMatchObject({ same: 3, added: 1, removed: 0, changed: 0 });
  });

  test("of a chat are the same question whatever its system message says", async () => {
    const chat = (system: string) => ({
      messages: [
        { role: "system", content: system },
        { role: "user", content: "hello" },
        { role: "assistant", content: "hi" },
      ],
    });
    const side = (system: string) => dataset([chat(system)], { format: "chat" });
    expect((await diff(side("Be kind."), side("Be brief."))).rows).toMatchObject({ changed: 1, added: 0 });
  });

  test("of a new Dataset are not compared with anything", async () => {
    const { base, rows, head } = await diff(undefined, dataset([pair("a")]));
    expect(base).toBeUndefined();
    expect(rows).toBeUndefined();
    expect(head).toMatchObject({ summary: { read: 1, rows: 1 } });
  });
});

describe("a side", () => {
  test("says what each step dropped, how long rows are, which answers there are and what it costs to train on", async () => {
    const rows = [
      pair("one"),
      pair("one"),
      pair("two words"),
      pair("three more words", "no"),
      pair("x", "no"),
    ];
    const { head } = await diff(undefined, dataset(rows, { steps: [{ name: "dedup", type: "exactDedup" }] }));
    expect(head).toEqual({
      summary: {
        read: 5,
        rows: 4,
        splits: [{ name: "train", rows: 4, tokens: 12 }],
        steps: [{ name: "dedup", dropped: 1, changed: 0 }],
        words: 11,
        tokens: 2 + 4 + 5 + 1,
        lengths: [
          { upTo: 2, rows: 2 },
          { upTo: 4, rows: 2 },
        ],
        labels: [
          { label: "no", rows: 2 },
          { label: "yes", rows: 2 },
        ],
        pii: [],
      },
    });
  });

  test("that cannot be prepared says why; one whose gate does not hold says which", async () => {
    const bad = await diff(dataset([pair("a")]), dataset([pair("a"), "{"]));
    expect(bad.head).toMatchObject({
      failure: { code: "BadRows", message: expect.stringContaining("rows.jsonl:2") },
    });
    expect(bad.rows).toBeUndefined();
    const few = await diff(undefined, dataset([pair("a")], { gates: { minRows: 3 } }));
    expect(few.head).toMatchObject({ summary: { fault: { gate: "minRows" } } });
  });

  test("takes rows from another Dataset as that side has it", async () => {
    const upstream = {
      ...dataset([pair("a"), pair("a"), pair("b")], { steps: [{ name: "s", type: "exactDedup" }] }),
      name: "up",
    };
    const own: DiffDataset = {
      ...dataset([], { sources: [{ name: "from", datasetRef: { name: "up" } }] }),
      sources: [{ name: "from", dataset: "up", split: "train" }],
    };
    const found = await diffDataset({ base: [upstream, own], head: [upstream, own], cases: [] });
    expect(found.rows).toMatchObject({ same: 2, added: 0 });
    const none: DiffDataset = { ...own, sources: [{ name: "from", dataset: "up", split: "test" }] };
    const missing = await diffDataset({ base: undefined, head: [upstream, none], cases: [] });
    expect(missing.head).toMatchObject({ failure: { code: "SplitNotFound" } });
  });
});

describe("personal data", () => {
  test("is counted by kind in new rows alone, and never shown", async () => {
    const old = pair("write to old@example.com");
    const found = await diff(
      dataset([old]),
      dataset([
        old,
        pair("write to mia@example.com"),
        pair("call 030/1 or mia@example.com, 4111 1111 1111 1111"),
      ]),
    );
    expect(found.newPii).toEqual([
      { kind: "email", rows: 2, origins: ["rows.jsonl:2", "rows.jsonl:3"] },
      { kind: "card", rows: 1, origins: ["rows.jsonl:3"] },
    ]);
    expect(found.head).toMatchObject({
      summary: {
        pii: [
          { kind: "email", rows: 3 },
          { kind: "card", rows: 1 },
        ],
      },
    });
    expect(JSON.stringify(found)).not.toMatch(/mia|example\.com|4111/);
  });

  test("is masked in labels", async () => {
    const rows = ["a", "b", "c", "d"].map((text) => pair(text, "mia@example.com"));
    const { head } = await diff(undefined, dataset(rows));
    expect(head).toMatchObject({ summary: { labels: [{ label: "[EMAIL]", rows: 4 }] } });
  });
});

describe("leakage", () => {
  const cases = [
    { suite: "triage", id: "long", texts: [LONG] },
    { suite: "triage", id: "short", texts: ["close my account"] },
    { suite: "tone", id: "word", texts: ["yes"] },
  ];

  test("names the cases whose words are in rows, and how many of the rows are new", async () => {
    const old = pair("Please close my account now");
    const rows = [
      old,
      pair(`He says ${LONG.toUpperCase()}!`),
      pair("close the account"),
      pair("yes, close my account"),
    ];
    const { leakage } = await diff(dataset([old]), dataset(rows), cases);
    expect(leakage).toEqual({
      rows: 3,
      newRows: 2,
      cases: [
        { suite: "triage", id: "short", rows: 2 },
        { suite: "triage", id: "long", rows: 1 },
      ],
      total: 2,
      skipped: 0,
    });
  });
});

test("a file of the blob store that is damaged is no property of a commit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-damaged-"));
  try {
    const file = join(folder, "rows");
    await writeFile(file, data([pair("a")]));
    const files = [{ path: "rows.jsonl", file, digest: `sha256:${"0".repeat(64)}` }];
    const damaged = { ...dataset([]), sources: [{ name: "main", files }] };
    await expect(diff(undefined, damaged)).rejects.toMatchObject({ code: "DigestMismatch" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("in a thread", () => {
  test("comes to the same", async () => {
    const input = { base: [dataset([pair("a")])], head: [dataset([pair("a"), pair("b")])], cases: [] };
    expect(await diffInThread(input, new AbortController().signal)).toEqual(await diffDataset(input));
  });

  test("ends when it takes too long, or nobody asks any more, and leaves nothing on the disk", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "slipway-scratch-"));
    const rows = Array.from({ length: 60_000 }, (_, i) => pair(`${LONG} ${i} ${i * 7} ${i * 13} ${i % 91}`));
    const input = { base: undefined, head: [dataset(rows)], cases: [] };
    await expect(diffInThread(input, new AbortController().signal, 1, scratch)).rejects.toMatchObject({
      code: "DiffTimedOut",
    });
    const gone = new Error("gone");
    await expect(diffInThread(input, AbortSignal.abort(gone))).rejects.toBe(gone);
    expect(await readdir(scratch)).toEqual([]);
    await rm(scratch, { recursive: true });
  });
});
