import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeError } from "../errors.ts";
import { loadCases } from "./cases.ts";
import { grade } from "./graders/index.ts";

const file = (path: string, data: string | Uint8Array) => ({ path, data });
const errorsOf = (path: string, data: string | Uint8Array) =>
  loadCases([file(path, data)]).errors.map(describeError);

describe("JSONL", () => {
  test("one case a line, blank lines passed over, defaults filled in", () => {
    const { cases, errors } = loadCases([
      file("a.jsonl", '{"id":"a"}\n\n{"id":"b","vars":{"x":1},"critical":true}\r\n'),
    ]);
    expect(errors).toEqual([]);
    expect(cases).toEqual([
      { id: "a", vars: {} },
      { id: "b", vars: { x: 1 }, critical: true },
    ]);
  });

  test("each bad line is named, and the good ones are read", () => {
    const loaded = loadCases([
      file("a.jsonl", '{"id":"a"}\n{"id":\n{"id":"c","assert":[{"type":"containz"}]}\n{"id":"d"}'),
    ]);
    expect(loaded.cases.map(({ id }) => id)).toEqual(["a", "d"]);
    expect(loaded.errors.map(({ location }) => location)).toEqual([
      { file: "a.jsonl", line: 2, column: 1 },
      { file: "a.jsonl", line: 3, column: 1, field: "assert[0].type" },
    ]);
  });

  test.each([
    [
      "a comma is missing",
      '{"id": "b" "expected": "x"}',
      /^a\.jsonl:2:12: not JSON: Expected ',' or '}'[^:]*$/,
    ],
    ["the line is indented", '  {"id": "b",}', /^a\.jsonl:2:14: not JSON: /],
    ["a case is wrong in an indented line", '\t{"id": 1}', /^a\.jsonl:2:2: id: /],
    ["the parser tells no place", '  {"id": nope}', /^a\.jsonl:2:3: not JSON: .*nope/],
    ["the text looks like a place", 'x " at position 7"', /^a\.jsonl:2:1: not JSON: .* at position 7/],
    ["the line ends too soon", '{"id":', /^a\.jsonl:2:1: not JSON: Unexpected end of JSON input/],
  ])("the column is where the parser stopped, else where the case begins: %s", (_, line, message) => {
    expect(errorsOf("a.jsonl", `{"id":"a"}\n${line}\n`)).toEqual([expect.stringMatching(message)]);
  });
});

describe("YAML", () => {
  const text = "- id: a\n  vars: {q: hi}\n- id: b\n  assert:\n    - type: contains\n      valu: x\n";
  test("errors know line and column", () => {
    const { cases, errors } = loadCases([file("dir/cases.yaml", text)]);
    expect(cases).toEqual([{ id: "a", vars: { q: "hi" } }]);
    expect(errors).toMatchObject([
      { location: { file: "dir/cases.yaml", line: 5, column: 7, field: "assert[0]" } },
    ]);
  });

  test.each([
    ["what does not parse", "- id: a\n- id: [b\n", /cases\.yaml:\d+:\d+: /],
    ["no list", "# cases\nid: a\n", /cases\.yaml:2:1: not a list of cases/],
    [
      "an alias bomb",
      `- &a [x,x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 6 }, (_, i) => `- &${"bcdefg"[i]} [${Array(10).fill(`*${"abcdef"[i]}`)}]`).join("\n")}\n`,
      /cases\.yaml:1:1: /,
    ],
  ])("refuses %s", (_, content, message) => {
    const errors = errorsOf("cases.yaml", content);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors[0]).toMatch(message);
  });

  test("a key stands once in a map, which is found without comparing all with all", () => {
    expect(errorsOf("c.yaml", "- id: a\n  vars: {q: 1, r: 2, q: 3}\n")).toEqual([
      expect.stringMatching(/^c\.yaml:2:22: the key "q" stands twice in one map/),
    ]);
    const keys = Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join(", ");
    // What this thread computed: how long it took says more about what else the machine does.
    const before = process.threadCpuUsage();
    loadCases([file("c.yaml", `- id: a\n  vars: {${keys}}\n`)]);
    expect(process.threadCpuUsage(before).user / 1_000).toBeLessThan(3_000);
  });

  test("JSON files are lists as well", () => {
    expect(loadCases([file("c.json", '[{"id":"a"}]')]).cases).toHaveLength(1);
  });
});

describe("CSV", () => {
  test("columns are variables, assertions and the case's own", () => {
    const csv =
      'id,q,expected,critical,__cluster,__metric,__expected,__expected1\nt1,"a, b",yes,true,doc,facts,contains: x,not-regex:^z\n,c,,,,,,\n';
    const { cases, errors } = loadCases([file("suite/my tickets.csv", csv)]);
    expect(errors).toEqual([]);
    expect(cases).toEqual([
      {
        id: "t1",
        vars: { q: "a, b" },
        expected: "yes",
        critical: true,
        cluster: "doc",
        assert: [
          { type: "contains", value: "x", weight: 1, metric: "facts" },
          { type: "not-regex", value: "^z", weight: 1, metric: "facts" },
        ],
      },
      { id: "my-tickets-2", vars: { q: "c" } },
    ]);
  });

  test.each([
    ["equals me", { type: "equals", value: "equals me" }],
    ["levenshtein(3): abc", { type: "levenshtein", value: "abc", threshold: 3 }],
    ["levenshtein:abc", { type: "levenshtein", value: "abc", threshold: 0.75 }],
    ["icontains-any: a, b", { type: "icontains-any", value: ["a", "b"] }],
    ["is-json", { type: "is-json" }],
    ["latency(200)", { type: "latency", threshold: 200 }],
    ["grade: is polite", { type: "llm-rubric", value: "is polite" }],
    ["llm-rubric:is polite", { type: "llm-rubric", value: "is polite" }],
  ])("reads %j", (cell, expected) => {
    const { cases } = loadCases([file("a.csv", `__expected\n"${cell}"\n`)]);
    expect(cases[0]!.assert).toEqual([{ ...expected, weight: 1 }]);
  });

  test("errors name the place at which the row begins", () => {
    const csv = 'q,__expected\n"two\nlines",contains:x\nc,similar(0.8):y\nd,latency\n';
    expect(errorsOf("a.csv", csv)).toEqual([
      expect.stringMatching(/^a\.csv:4:1: similar is not a grader here/),
      expect.stringMatching(/^a\.csv:5:1: latency needs a threshold/),
    ]);
  });

  test.each([
    ["a,a\n1,2\n", /^a\.csv:1:1: column "a" is there twice/],
    ["a,__prefix\n1,2\n", /^a\.csv:1:1: column __prefix is not supported/],
    ["a,b\n1\n", /^a\.csv:2:1: /],
    ['a\n"1\n', /^a\.csv:\d:1: /],
    ["a,critical\n1,maybe\n", /^a\.csv:2:1: critical is "maybe"/],
  ])("refuses %j", (csv, message) => expect(errorsOf("a.csv", csv)[0]).toMatch(message));

  test("promptfoo's own CSV gives promptfoo's own verdicts", async () => {
    const folder = new URL("../../test/testdata/promptfoo/csv-tests/", import.meta.url);
    const { cases } = loadCases([file("tests.csv", readFileSync(new URL("tests.csv", folder)))]);
    const expected: { vars: unknown; output: string; pass: boolean }[] = JSON.parse(
      readFileSync(new URL("expected.json", folder), "utf8"),
    );
    expect(cases.map(({ vars }) => vars)).toEqual(expected.map(({ vars }) => vars));
    for (const [index, { output, pass }] of expected.entries()) {
      const { vars, assert = [] } = cases[index]!;
      expect(assert).toHaveLength(1);
      expect((await grade(assert, output, { vars })).pass).toBe(pass);
    }
  });
});

describe("all together", () => {
  test("an id stands once, across inline and files, and both places are named", () => {
    const { cases, errors } = loadCases(
      [file("a.jsonl", '{"id":"x"}\n{"id":"y"}'), file("b.yaml", "- id: z\n- id: y\n")],
      [{ id: "x", vars: {} }],
    );
    expect(cases.map(({ id }) => id)).toEqual(["x", "y", "z"]);
    expect(errors.map(describeError)).toEqual([
      expect.stringContaining("a.jsonl:1:1: case x is already at spec.cases.inline[0]"),
      expect.stringContaining("b.yaml:2:3: case y is already at a.jsonl:2:1"),
    ]);
  });

  test.each([
    ["an unknown ending", "a.txt", "x"],
    ["bytes that are no text", "a.jsonl", Uint8Array.from([0xff, 0xfe, 0x00])],
    ["values nested too deep", "a.jsonl", `{"id":"a","vars":{"x":${"[".repeat(40)}${"]".repeat(40)}}}`],
  ])("refuses %s", (_, path, data) => expect(errorsOf(path, data)).toHaveLength(1));

  test("too many cases are refused, and errors end at a hundred", () => {
    const many = Array.from({ length: 100_001 }, (_, index) => `{"id":"c${index}"}`).join("\n");
    expect(errorsOf("a.jsonl", many)).toEqual([expect.stringContaining("more than 100000 cases")]);
    const rows = `q\n${"x\n".repeat(100_001)}`;
    expect(errorsOf("a.csv", rows)).toEqual([expect.stringContaining("more than 100000 cases")]);
    expect(errorsOf("a.json", `[${"1,".repeat(100_000)}1]`)).toEqual([
      expect.stringContaining("more than 100000 cases"),
    ]);
    // Nothing after the limit is looked at.
    expect(errorsOf("a.jsonl", `${many}\nnonsense`)).toHaveLength(1);
    expect(errorsOf("a.jsonl", "nonsense\n".repeat(1_000))).toHaveLength(100);
  });
});
