import { describe, expect, test } from "vitest";
import { evalCase } from "../../../../schemas/eval-suite.ts";
import { loadCases } from "../../../eval/cases.ts";
import { appendCases } from "./case-file.ts";

const caseOf = (id: string, more: object = {}) => evalCase.parse({ id, expected: "yes", ...more });
const ids = (path: string, content: string) => {
  const { cases, errors } = loadCases([{ path, data: content }]);
  expect(errors).toEqual([]);
  return cases.map(({ id }) => id);
};

const YAML = `# Regressions of the support desk. Ask Ana before removing one.
- id: b          # reported in March
  vars: {ticket: "It's broken"}
  expected: 'technical'

# Money.
- id: a
  expected: >-
    billing
    and more
`;

describe("what is there keeps its bytes", () => {
  test.each([
    ["a YAML list", "c.yaml", YAML],
    ["one that is indented", "c.yml", "# top\n  - id: b # one\n  - {id: a, expected: x}\n"],
    ["one with a document start", "c.yaml", "---\n- id: b\n- id: a\n"],
    ["one without an end of its last line", "c.yaml", "- id: b\n- id: a"],
    ["JSONL", "c.jsonl", '{"id":"b",  "expected":"x"}\n\n{"id":"a"}\n'],
    ["JSONL without an end of its last line", "c.jsonl", '{"id":"b"}\n{"id":"a"}'],
  ])("%s", (_, path, before) => {
    const { content, added } = appendCases(path, before, [caseOf("a"), caseOf("new"), caseOf("z:1")]);
    expect(added).toEqual(["new", "z:1"]);
    expect(content.startsWith(before)).toBe(true);
    expect(ids(path, content)).toEqual(["b", "a", "new", "z:1"]);
  });
});

test("a flow list keeps its comments and its order", () => {
  const { content } = appendCases("c.yaml", "# ours\n[{id: b}, {id: a}] # end\n", [caseOf("new")]);
  expect(content).toContain("# ours");
  expect(content).toContain("# end");
  expect(ids("c.yaml", content)).toEqual(["b", "a", "new"]);
});

test.each([
  ["c.yaml", undefined],
  ["c.yaml", ""],
  ["c.yaml", "# none yet\n"],
  ["c.jsonl", undefined],
  ["c.json", undefined],
  ["c.json", '[\n {"id": "b"}]'],
])("%s from %j", (path, before) => {
  const { content } = appendCases(path, before, [
    caseOf("new", { vars: { ticket: "# no: comment\n- [x]" } }),
  ]);
  expect(ids(path, content).at(-1)).toBe("new");
  const { cases } = loadCases([{ path, data: content }]);
  expect(cases.at(-1)).toMatchObject({ expected: "yes", vars: { ticket: "# no: comment\n- [x]" } });
  if (before?.startsWith("#")) expect(content.startsWith(before)).toBe(true);
});

test("nothing is new: nothing changes", () => {
  expect(appendCases("c.yaml", YAML, [caseOf("a"), caseOf("b")])).toEqual({ content: YAML, added: [] });
});

test("what is empty is not written", () => {
  const { content } = appendCases("c.jsonl", "", [evalCase.parse({ id: "a" })]);
  expect(content).toBe('{"id":"a"}\n');
});

test("a case begins with its id, however it was kept", () => {
  const kept = JSON.parse('{"assert":[{"type":"equals"}],"expected":"x","id":"a","vars":{"t":"1"}}');
  expect(appendCases("c.yaml", "- id: b\n", [kept]).content).toBe(
    '- id: b\n- id: a\n  vars:\n    t: "1"\n  expected: x\n  assert:\n    - type: equals\n',
  );
});

test.each([
  ["a CSV file", "c.csv", "id\nb\n", /only \.jsonl/],
  ["a map", "c.yaml", "cases: []\n", /not a list of cases/],
  ["bad YAML", "c.yaml", "- id: a\n id: b\n", /./],
  ["a bad case", "c.jsonl", '{"id":"a","typo":1}\n', /typo/],
])("%s is left alone", (_, path, before, message) => {
  expect(() => appendCases(path, before, [caseOf("new")])).toThrow(
    expect.objectContaining({ code: "CaseFileUnwritable", message: expect.stringMatching(message) }),
  );
});
