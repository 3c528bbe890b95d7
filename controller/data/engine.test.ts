import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { datasetSpec } from "../../schemas/dataset.ts";
import { blobDigest } from "../graph/canonical.ts";
import type { DataFile } from "./block.ts";
import { ChunkWriter } from "./chunk.ts";
import { inputFiles, runEngine } from "./engine.ts";
import { LineBuffer } from "./line-buffer.ts";
import { Pool } from "./pool.ts";
import { type PrepareOutcome, prepareDataset } from "./prepare.ts";
import { artifactOf, summaryOf } from "./publish.ts";
import { blocksOf } from "./read.ts";
import { Scratch } from "./scratch.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-engine-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const spec = datasetSpec.parse({
  format: "completion",
  sources: [{ name: "main", files: [{ path: "rows.jsonl" }] }],
  steps: [
    { name: "clean", type: "normalize" },
    { name: "same", type: "exactDedup" },
    { name: "like", type: "nearDedup" },
    { name: "privacy", type: "pii" },
    { name: "some", type: "sample", sample: { rows: 12_000 } },
  ],
  splits: [
    { name: "train", percent: 90 },
    { name: "test", percent: 10 },
  ],
});

/** Rows of a few blocks, some alike, some with personal data, some beyond ASCII. */
function rows(count: number): string {
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const seed = i % 5 === 4 ? i - 4 : i;
    const words = Array.from({ length: 60 }, (_, j) => `wörd${Math.imul(seed * 64 + j, 0x9e3779b1) >>> 16}`);
    if (i % 5 === 4) words[i % 60] = "changed";
    if (i % 11 === 0) words.push(`mail${i}@example.org`);
    lines.push(JSON.stringify({ prompt: words.join(" "), completion: i % 7 === 0 ? "yes" : `no ${i}` }));
  }
  return `${lines.join("\n")}\n`;
}

const ROWS_A_FILE = 150;
const filesOf = (name: string) => [1, 2, 3, 4].map((part) => ({ path: `${name}-${part}.jsonl` }));

/** Every type of step, over rows of two sources that do not have the same columns. */
const everyStep = datasetSpec.parse({
  format: "preference",
  sources: [
    { name: "reviews", files: filesOf("reviews"), weight: 0.95 },
    { name: "chats", files: filesOf("chats") },
  ],
  steps: [
    { name: "spam", type: "filter", filter: { keep: "row.kind != 'spam'" } },
    {
      name: "columns",
      type: "map",
      map: {
        sources: ["reviews"],
        rename: [{ from: "good", to: "chosen" }],
        set: [
          { field: "prompt", template: "{{title}}: {{question}}" },
          { field: "rejected", template: "{{bad}}" },
        ],
      },
    },
    { name: "clean", type: "normalize" },
    { name: "prose", type: "quality" },
    { name: "long", type: "length", length: { minWords: 30 } },
    { name: "english", type: "language", language: { allow: ["en"] } },
    { name: "same", type: "exactDedup" },
    { name: "like", type: "nearDedup" },
    { name: "privacy", type: "pii" },
    { name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } },
    { name: "odd", type: "filter", filter: { keep: "!row.chosen.contains('teapot')" } },
    {
      name: "mix",
      type: "aggregate",
      aggregate: {
        shares: [
          { source: "reviews", share: 0.7 },
          { source: "chats", share: 0.3 },
        ],
      },
    },
    { name: "some", type: "sample", sample: { rows: 200 } },
  ],
  splits: [
    { name: "train", percent: 90 },
    { name: "test", percent: 10 },
  ],
});
const CASE = "where can I see which invoice of last year has not been paid";
const ENGLISH =
  "the customer asked about an invoice that was paid twice and wanted to know when money would come back because nobody answered her letter from last week while our support team looked into another problem with printers on second floor which did not work after update so we told them that someone will call tomorrow morning before lunch if their account is still locked".split(
    " ",
  );
const GERMAN =
  "der Kunde fragte nach einer Rechnung die zweimal bezahlt wurde und wollte wissen wann das Geld wieder kommt weil niemand auf seinen Brief aus der letzten Woche geantwortet hat".split(
    " ",
  );

/** Pairs of answers; by turns some of what each step is there for. */
function preferences(source: string, seed: number): string {
  const lines: string[] = [];
  const text = (key: string, words: number, from = ENGLISH) => {
    const bytes = createHash("shake128", { outputLength: words }).update(`${seed} ${key}`).digest();
    return Array.from(bytes, (byte) => from[byte % from.length]).join(" ");
  };
  for (let i = 0; i < ROWS_A_FILE; i++) {
    // The last of each ten is the one before, or like it.
    const of = i % 10 === 9 ? i - 1 : i;
    const size = i % 14 === 3 ? 4 : 50;
    const question = `${text(`question ${of}`, size, i % 12 === 5 ? GERMAN : ENGLISH)}${i % 20 === 9 ? " again" : ""}`;
    const good = `${text(`good ${of}`, size, i % 12 === 5 ? GERMAN : ENGLISH)}${i % 16 === 1 ? " teapot" : ""}${i % 18 === 7 ? ` ${CASE}` : ""}`;
    const bad =
      i % 22 === 2
        ? "### ".repeat(80)
        : `${text(`bad ${of}`, size)}${i % 15 === 4 ? ` m${i}@example.org` : ""}`;
    const kind = i % 25 === 6 ? "spam" : "ticket";
    const row =
      source === "reviews"
        ? { kind, title: "Cafe\u0301", question, good, bad }
        : { kind, prompt: `${question}  `, chosen: good, rejected: bad };
    lines.push(JSON.stringify(row));
  }
  return `${lines.join("\n")}\n`;
}

async function prepared(
  file: DataFile,
  threads: number,
  onBadRow: "Fail" | "Drop" = "Fail",
): Promise<PrepareOutcome> {
  const scratch = await mkdtemp(join(folder, "scratch-"));
  const sources = [{ name: "main", files: [file] }];
  return prepareDataset({
    name: "rows",
    spec: { ...spec, onBadRow },
    sources,
    cases: new Map(),
    folder: scratch,
    threads,
  });
}
const digestOf = (outcome: PrepareOutcome) => ("artifact" in outcome ? outcome.artifact.digest : "");

describe("the artifact", () => {
  test("is the same byte for byte on any number of threads, and after threads have died", async () => {
    const text = rows(20_000);
    const file = join(folder, "rows.jsonl");
    await writeFile(file, text);
    const disk = { path: "rows.jsonl", file, digest: blobDigest(text) };
    const one = await prepared(disk, 1);
    const digest = digestOf(one);
    expect(digest).toMatch(/^sha256:/);
    expect(one.summary.splits.reduce((sum, split) => sum + split.rows, 0)).toBe(12_000);
    for (const threads of [0, 2, 4]) expect(digestOf(await prepared(disk, threads))).toBe(digest);

    const scratch = await mkdtemp(join(folder, "scratch-"));
    const input = { spec, sources: [{ name: "main", files: [disk] }], cases: new Map(), folder: scratch };
    const files = inputFiles(spec, input.sources);
    await using pool = new Pool({ spec, cases: new Map(), files: files.names }, 2);
    let killed = 0;
    const timer = setInterval(() => {
      const [thread] = pool.threads;
      // A task is begun again three times at most.
      if (thread && killed < 3) {
        killed++;
        void thread.terminate();
      }
    }, 150);
    const result = await runEngine(input, files, pool).finally(() => clearInterval(timer));
    expect(killed).toBe(3);
    expect((await artifactOf("rows", spec, result, [], scratch, pool)).digest).toBe(digest);
  }, 300_000);

  test("is the same on any number of threads with every kind of step, whose counts add up", async () => {
    // Four files each, so that the threads have something to do by turns.
    const sources = await Promise.all(
      everyStep.sources.map(async ({ name, files = [] }, of) => ({
        name,
        files: await Promise.all(
          files.map(async ({ path }, part) => {
            const text = preferences(name, 4 * of + part);
            await writeFile(join(folder, path), text);
            return { path, file: join(folder, path), digest: blobDigest(text) };
          }),
        ),
      })),
    );
    const cases = new Map([["triage", [CASE]]]);
    const digests: string[] = [];
    for (const threads of [0, 2, 4]) {
      const scratch = await mkdtemp(join(folder, "scratch-"));
      const files = inputFiles(everyStep, sources);
      await using pool = new Pool({ spec: everyStep, cases, files: files.names }, threads);
      const result = await runEngine({ spec: everyStep, sources, cases, folder: scratch }, files, pool);
      digests.push((await artifactOf("rows", everyStep, result, [], scratch, pool)).digest);
      const { read, steps, splits } = summaryOf(everyStep, result);
      expect(read).toBe(8 * ROWS_A_FILE);
      const counted = steps.map(({ name }) => name).filter((name) => name !== "weights");
      expect(counted).toEqual(everyStep.steps.map(({ name }) => name));
      // Each has had something to do: none is the same because it did nothing.
      expect(steps.filter(({ dropped, changed }) => dropped + changed === 0)).toEqual([]);
      const kept = splits.reduce((sum, split) => sum + split.rows, 0);
      expect(kept).toBe(200);
      expect(steps.reduce((sum, { dropped }) => sum + dropped, kept)).toBe(read);
      // What one step leaves is what the next one is given.
      const left = [read, ...steps.map(({ rows, dropped }) => rows - dropped)];
      expect([...steps.map(({ rows }) => rows), kept]).toEqual(left);
    }
    expect(digests[0]).toMatch(/^sha256:/);
    expect(new Set(digests).size).toBe(1);
  }, 240_000);

  test("has the same rows from gzip as from what was packed", async () => {
    const text = rows(200);
    const packed = await prepared({ path: "rows.jsonl.gz", data: gzipSync(text) }, 1);
    const plain = await prepared({ path: "rows.jsonl", data: new TextEncoder().encode(text) }, 1);
    const digests = (outcome: PrepareOutcome) =>
      "artifact" in outcome
        ? outcome.artifact.files.flatMap(({ path, digest }) => (path.endsWith(".jsonl") ? [digest] : []))
        : [];
    expect(digests(packed)).toHaveLength(2);
    expect(digests(packed)).toEqual(digests(plain));
  });

  test("leaves nothing between the passes on the disk", async () => {
    const scratch = await mkdtemp(join(folder, "scratch-"));
    const sources = [
      { name: "main", files: [{ path: "rows.jsonl", data: new TextEncoder().encode(rows(50)) }] },
    ];
    await prepareDataset({ name: "rows", spec, sources, cases: new Map(), folder: scratch });
    const left = (await readdir(scratch)).filter((name) => !name.startsWith("out-"));
    expect(left).toEqual([]);
  });
});

describe("the disk", () => {
  const steps = Array.from({ length: 8 }, (_, i) => [
    { name: `clean${i}`, type: "normalize" },
    { name: `same${i}`, type: "exactDedup" },
  ]).flat();
  const many = datasetSpec.parse({ ...spec, steps, splits: undefined });
  const text = rows(2_000);
  const run = async (maxScratchBytes: number) => {
    const sources = [{ name: "main", files: [{ path: "rows.jsonl", data: new TextEncoder().encode(text) }] }];
    const files = inputFiles(many, sources);
    await using pool = new Pool({ spec: many, cases: new Map(), files: files.names }, 0);
    return runEngine({ spec: many, sources, cases: new Map(), folder, maxScratchBytes }, files, pool);
  };

  test("has the rows of two passes at a time, not of all, and no more than they may take", async () => {
    const bytes = Buffer.byteLength(text);
    const { steps: counts } = await run(3 * bytes);
    expect(counts).toHaveLength(16);
    await expect(run(1.5 * bytes)).rejects.toMatchObject({
      code: "DatasetTooLarge",
      retryable: false,
      message: expect.stringMatching(/GiB of the disk/),
    });
  });

  test("is never filled: others' room is left to them, and it is tried again", async () => {
    const scratch = (free: number) => new Scratch(folder, 2e12, async () => ({ free, total: 1e12 }));
    await scratch(2 ** 30).add(1e9);
    await expect(scratch(2 ** 30 - 1).add(1)).rejects.toMatchObject({ code: "DiskFull", retryable: true });
    // Of a small disk a small part.
    await new Scratch(folder, 2e12, async () => ({ free: 6e7, total: 1e9 })).add(1);
  });

  test("a template that makes very large rows is stopped before it is full", () => {
    const chunk = new ChunkWriter(new LineBuffer());
    const add = () => chunk.add({ file: 0, number: 1 }, "x".repeat(1 << 20));
    for (let i = 0; i < 256; i++) add();
    expect(add).toThrow(expect.objectContaining({ code: "DatasetTooLarge" }));
  });
});

test("an unforeseen error in a thread comes without its stack, as it ends in a condition", async () => {
  await using pool = new Pool({ spec, cases: new Map(), files: [] }, 1);
  const shard = { start: 0, bytes: 1, rows: 1 };
  const task = {
    type: "parquet",
    format: "completion",
    lines: join(folder, "gone"),
    shard,
    out: "",
  } as const;
  const error = await pool.run(task).catch((caught: unknown) => caught);
  expect(String(error)).toMatch(/ENOENT/);
  expect((error as Error).message).not.toContain("\n");
});

describe("a file", () => {
  test("that is not what its digest says is an error", async () => {
    const file = join(folder, "rows.jsonl");
    await writeFile(file, rows(3));
    const disk = { path: "rows.jsonl", file, digest: blobDigest("other") };
    await expect(prepared(disk, 1)).rejects.toMatchObject({ code: "DigestMismatch" });
  });

  test("whose rows are bad keeps its counts: every row is read once, dropped once or published", async () => {
    const good = rows(20).split("\n").slice(0, -1);
    const long = `"${"x".repeat(17 << 20)}"`;
    const lines = [good[0], "{", long, good[1], "\u0000", '{"prompt": 1}', ...good.slice(2), "[]"];
    const bytes = Buffer.concat([
      Buffer.from(lines.join("\n")),
      Buffer.from([0x0a, 0xff, 0x0a]),
      Buffer.from(good[0]!),
    ]);
    const { summary } = await prepared({ path: "rows.jsonl", data: bytes }, 1, "Drop");
    expect(summary.read).toBe(lines.length + 2);
    const dropped = summary.steps.reduce((sum, step) => sum + step.dropped, 0);
    expect(summary.read - dropped).toBe(summary.splits.reduce((sum, split) => sum + split.rows, 0));
    expect(summary.steps[0]).toMatchObject({ name: "bad-rows", dropped: 6 });
    expect(summary.steps[0]?.samples.map(({ origin }) => origin)).toEqual(
      [2, 3, 5, 6, 25].map((n) => `rows.jsonl:${n}`),
    );
  });

  test("is cut into blocks at ends of lines, wherever its chunks end", async () => {
    const line = `${JSON.stringify({ prompt: "x".repeat(1_000), completion: "y" })}\n`;
    const data = new TextEncoder().encode(line.repeat(13_000));
    const blocks = [];
    for await (const block of blocksOf({ path: "a.jsonl", data })) blocks.push(block);
    expect(blocks.length).toBeGreaterThan(2);
    expect(blocks.every(({ lines }) => lines.at(-1) === 0x0a)).toBe(true);
    expect(Buffer.concat(blocks.map(({ lines }) => lines)).equals(data)).toBe(true);
    let next = 1;
    for (const { first, lines } of blocks) {
      expect(first).toBe(next);
      next += lines.byteLength / line.length;
    }
  });

  test("of 100 MB in one line holds up nobody", async () => {
    const file = join(folder, "rows.jsonl");
    await writeFile(file, Buffer.concat([Buffer.alloc(100_000_000, "x"), Buffer.from(`\n${rows(2)}`)]));
    await expect(prepared({ path: "rows.jsonl", file }, 0)).rejects.toThrow(
      "1 bad rows: rows.jsonl:1: the line has 100000000 bytes; the limit is 16777216",
    );
    const { summary } = await prepared({ path: "rows.jsonl", file }, 0, "Drop");
    expect(summary).toMatchObject({ read: 3, steps: [{ name: "bad-rows", dropped: 1 }, {}, {}, {}, {}, {}] });
  });
});
