import { describe, expect, test } from "vitest";
import { type DatasetSpec, datasetSpec } from "../../../schemas/dataset.ts";
import { GOPHER } from "../../../schemas/gopher.ts";
import { type Prepared, prepare } from "../prepare.ts";
import { textOf } from "../row.ts";
import { compileFilter } from "./filter.ts";
import { qualityProblem } from "./quality.ts";

const bytes = (rows: readonly unknown[]) =>
  new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join("\n"));

/** @param sources rows of each source, by its name */
async function run(sources: Record<string, readonly unknown[]>, spec: object): Promise<Prepared> {
  const parsed: DatasetSpec = datasetSpec.parse({
    format: "completion",
    sources: Object.keys(sources).map((name) => ({ name, files: [{ path: `${name}.jsonl` }] })),
    ...spec,
  });
  const data = Object.entries(sources).map(([name, rows]) => ({
    name,
    files: [{ path: `${name}.jsonl`, data: bytes(rows) }],
  }));
  return prepare(parsed, data, { cases: new Map() });
}
const rowsOf = ({ splits }: Prepared) => splits.flatMap(({ rows }) => rows.map(({ row }) => row));

describe("map", () => {
  const map = (section: object, name = "m") => ({ name, type: "map", map: section });

  test("renames columns and makes others from templates, which read the record as it came", async () => {
    const steps = [
      map({
        rename: [{ from: "a", to: "completion" }],
        set: [{ field: "prompt", template: "{{q}} ({{n}}, {{a}})" }],
      }),
    ];
    const { steps: counts, ...prepared } = await run({ s: [{ q: "why", a: "so", n: 3 }] }, { steps });
    expect(rowsOf({ ...prepared, steps: counts })).toEqual([{ prompt: "why (3, so)", completion: "so" }]);
    expect(counts).toMatchObject([{ name: "m", rows: 1, dropped: 0, changed: 1 }]);
  });

  test("makes messages, for the sources that are named", async () => {
    const messages = [
      { role: "system", template: "Be brief." },
      { role: "user", template: "{{q}}" },
    ];
    const chat = { messages: [{ role: "user", content: "as it is" }] };
    const prepared = await run(
      { raw: [{ q: "{{q}} stays" }], done: [chat] },
      { format: "chat", steps: [map({ sources: ["raw"], messages })] },
    );
    expect(rowsOf(prepared)).toEqual([
      {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "{{q}} stays" },
        ],
      },
      chat,
    ]);
  });

  test("a record that lacks a column is a bad row, named by its place", async () => {
    const steps = [map({ set: [{ field: "prompt", template: "{{q}}" }] })];
    const rows = { s: [{ q: "a", completion: "b" }, { completion: "b" }] };
    await expect(run(rows, { steps })).rejects.toThrow("s.jsonl:2: the column q is missing");
    const { steps: counts, read } = await run(rows, { steps, onBadRow: "Drop" });
    expect(read).toBe(2);
    expect(counts).toMatchObject([
      { name: "m", rows: 2, dropped: 0 },
      { name: "bad-rows", rows: 2, dropped: 1, samples: [{ origin: "s.jsonl:2" }] },
    ]);
  });

  test("columns of any name are only columns", async () => {
    const steps = [map({ rename: [{ from: "__proto__", to: "prompt" }] })];
    const row = JSON.parse('{"__proto__": "p", "completion": "c"}');
    expect(rowsOf(await run({ s: [row] }, { steps }))).toEqual([{ prompt: "p", completion: "c" }]);
    await expect(run({ s: [{ completion: "c" }] }, { steps })).rejects.toThrow(
      "the column __proto__ is missing",
    );
  });

  test("a broken template is an error before anything is read", async () => {
    const steps = [map({ set: [{ field: "prompt", template: "{{q" }] })];
    await expect(run({ s: [{ q: "a" }] }, { steps })).rejects.toMatchObject({ code: "TemplateUnclosed" });
  });
});

describe("filter", () => {
  const filter = (keep: string) => ({ name: "f", type: "filter", filter: { keep } });
  const rows = [
    { prompt: "one two three", completion: "x" },
    { prompt: "one", completion: "yy" },
  ];

  test.each([
    ["words > 2", ["one two three"]],
    ["size(row.completion) == 2", ["one"]],
    ["text.contains('two')", ["one two three"]],
    ["text.re2('^one$') || text.re2('(?m)^yy$')", ["one"]],
    ["source == 's' && row.prompt.startsWith('one')", ["one two three", "one"]],
    ["has(row.score) && row.score > 0.5", []],
  ])("%s", async (keep, prompts) => {
    const prepared = await run({ s: rows }, { steps: [filter(keep)] });
    expect(rowsOf(prepared).map(({ prompt }) => prompt)).toEqual(prompts);
    expect(prepared.steps[0]).toMatchObject({ name: "f", rows: 2, dropped: 2 - prompts.length });
  });

  test("before a map it sees the columns of the source", async () => {
    const scored = [{ q: "a", s: 0.9 }, { q: "b", s: 0.1 }, { q: "c" }];
    const map = {
      name: "m",
      type: "map",
      map: {
        set: [
          { field: "prompt", template: "{{q}}" },
          { field: "completion", template: "ok" },
        ],
      },
    };
    const prepared = await run({ s: scored }, { steps: [filter("row.s > 0.5"), map] });
    expect(rowsOf(prepared)).toEqual([{ prompt: "a", completion: "ok" }]);
    expect(prepared.steps[0]?.samples).toEqual([
      { origin: "s.jsonl:2", reason: "filtered" },
      { origin: "s.jsonl:3", reason: "the filter fails: No such key: s" },
    ]);
  });

  test.each([
    ["words >", /^the filter words >: /],
    ["nope > 1", /Unknown variable: nope/],
    ["words + 'a'", /no such overload/],
    ["words + 1", /it is a int, not a bool/],
    ["text.matches('(a+)+$')", /write text\.re2/],
    ["row.a.all(x, row.a.exists(y, x == y))", /exists stands inside another loop/],
    [`words > ${"1 + ".repeat(300)}1`, /./],
  ])("%s is refused", (expression, message) => {
    expect(() => compileFilter(expression)).toThrow(
      expect.objectContaining({ code: "InvalidFilter", message: expect.stringMatching(message) }),
    );
  });

  test("a hostile row costs no time", () => {
    const keep = compileFilter("text.re2('(a+)+$')");
    const text = `${"a".repeat(50_000)}!`;
    expect(keep({ row: {}, text, words: 1, source: "s" })).toBe(false);
  });
});

describe("aggregate", () => {
  const many = (name: string, count: number) =>
    Array.from({ length: count }, (_, i) => ({ prompt: `${name} ${i}`, completion: name }));
  const mix = (section: object) => ({ steps: [{ name: "mix", type: "aggregate", aggregate: section }] });
  const counted = (prepared: Prepared) => {
    const counts: Record<string, number> = {};
    for (const { completion } of rowsOf(prepared))
      counts[String(completion)] = (counts[String(completion)] ?? 0) + 1;
    return counts;
  };
  const sources = { a: many("a", 100), b: many("b", 50), c: many("c", 10) };
  const shares = [
    { source: "a", share: 0.3 },
    { source: "b", share: 0.7 },
  ];

  test("takes as many as the shares allow, and none of what is not named", async () => {
    const prepared = await run(sources, mix({ shares }));
    expect(counted(prepared)).toEqual({ a: 21, b: 50 });
    expect(prepared.steps[0]).toMatchObject({ name: "mix", rows: 160, dropped: 89 });
  });

  test("no more than rows, the same ones each time", async () => {
    const prepared = await run(sources, mix({ shares, rows: 10 }));
    expect(counted(prepared)).toEqual({ a: 3, b: 7 });
    expect(rowsOf(await run(sources, mix({ shares, rows: 10 })))).toEqual(rowsOf(prepared));
  });

  test("after a dedup it mixes what is left", async () => {
    const twice = { a: [...many("a", 5), ...many("a", 5)], b: many("b", 20) };
    const steps = [
      { name: "dedup", type: "exactDedup" },
      {
        name: "mix",
        type: "aggregate",
        aggregate: {
          shares: [
            { source: "a", share: 1 },
            { source: "b", share: 1 },
          ],
        },
      },
    ];
    expect(counted(await run(twice, { steps }))).toEqual({ a: 5, b: 5 });
  });
});

describe("quality", () => {
  const prose =
    "The committee met on Tuesday and agreed that the printer in the second hall should finally be replaced before winter comes.";

  test("lets prose through", () => expect(qualityProblem(prose, GOPHER)).toBeUndefined());

  test.each<[string, string, keyof typeof GOPHER, number | boolean]>([
    ["a b c d e f", "words of 1.0 characters", "minMeanWordLength", 0],
    ["incomprehensibilities internationalization", "words of 20.5 characters", "maxMeanWordLength", 30],
    [`${prose} # # # #`, "4 symbols to", "maxSymbolShare", 1],
    ["1234 5678 9012 word", "1 of 4 words hold a letter", "minAlphabeticShare", 0],
    [
      "- the first point of this list\n- the second point that came later",
      "2 of 2 lines begin with a bullet",
      "maxBulletLineShare",
      1,
    ],
    [
      "the end of this line is open and more text…\nanother",
      "1 of 2 lines end in an ellipsis",
      "maxEllipsisLineShare",
      1,
    ],
    [
      "once upon some time\nonce upon some time",
      "1 of 2 lines stood there before",
      "maxDuplicateLineShare",
      1,
    ],
    ["buy this thing ".repeat(8), "repeats 2 words", "repetition", false],
    [
      `${prose} ${Array.from({ length: 26 }, (_, i) => `other${String.fromCharCode(97 + i)}`).join(" ")} ${prose}`,
      "% repeated 5-grams",
      "repetition",
      false,
    ],
  ])("%s", (text, problem, bound, relaxed) => {
    expect(qualityProblem(text, GOPHER)).toContain(problem);
    expect(qualityProblem(text, { ...GOPHER, [bound]: relaxed }) ?? "").not.toContain(problem);
  });

  test("is off unless a step asks for it, and tells what it dropped", async () => {
    const rows = [
      { prompt: prose, completion: "replaced" },
      { prompt: "# # #", completion: "#" },
    ];
    expect(rowsOf(await run({ s: rows }, {}))).toHaveLength(2);
    const { steps, ...rest } = await run({ s: rows }, { steps: [{ name: "q", type: "quality" }] });
    expect(rowsOf({ ...rest, steps }).map(textOf)).toEqual([`${prose}\nreplaced`]);
    expect(steps[0]?.samples).toEqual([
      { origin: "s.jsonl:2", reason: "words of 1.0 characters on average" },
    ]);
  });
});
