import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { canonicalJson } from "../graph/canonical.ts";
import { buildGraph } from "../graph/graph.ts";
import { parseManifests } from "./manifest.ts";

// Many processes or much text: a busy machine needs longer than the default.
vi.setConfig({ testTimeout: 60_000 });

const EXAMPLE = `# Sorts tickets.
apiVersion: slipway.dev/v1alpha1
kind: PromptTemplate
metadata:
  name: triage
  labels: {team: support}
spec:
  messages:
    - role: system
      content: |
        You sort tickets.
        Answer with one word.
    - role: user
      content: "{{ticket}}"
  variables:
    - name: ticket
  parameters: {temperature: 0, stop: ["\\n"]}
---
apiVersion: slipway.dev/v1alpha1
kind: ModelDeployment
metadata: {name: small}
spec:
  type: External
  external: &e
    baseURL: https://models.example.com/v1
    model: llama-3.2-1b
    pricing: {inputPerMillionTokens: "0.1", outputPerMillionTokens: "0.2"}
---
apiVersion: slipway.dev/v1alpha1
kind: EvalSuite
metadata: {name: support}
spec:
  targets:
    - {name: main, promptRef: {name: triage}, modelRef: {name: small}}
  cases:
    inline:
      - {id: one, vars: {ticket: "It crashes"}, expected: bug}
    files:
      - path: cases.jsonl
  assert:
    - {type: equals, value: "{{expected}}", weight: 2}
  gates:
    - {name: quality, margin: 0.05}
`;

/** Text that means something to YAML or to us, put where it was not. */
const FRAGMENTS = [
  ..."{}[]:-?|>&*!%@`#,'\"\\\t\n\r ",
  ..."\u0000\u0085\u2028\ufeff\ud800é\u{1f600}",
  "---\n",
  "...\n",
  "%YAML 1.2\n",
  "<<: *e",
  "*e",
  "&e ",
  "!!binary ",
  "!!set ",
  "__proto__: ",
  "constructor: ",
  "toString: ",
  "null",
  "~",
  ".nan",
  ".inf",
  "-0",
  "0x1F",
  "1e999",
  "true",
  "spec:",
  "metadata:",
  "kind: EvalRun\n",
  "slipway.dev/",
  "  ",
  "\r\n",
];

interface Edit {
  readonly at: number;
  readonly cut: number;
  readonly insert: string;
}

const edits = fc.array(
  fc.record({
    at: fc.nat(EXAMPLE.length),
    cut: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(80)),
    insert: fc.oneof(
      fc.constant(""),
      fc.constantFrom(...FRAGMENTS),
      fc.string({ maxLength: 8 }),
      fc
        .tuple(fc.nat(EXAMPLE.length), fc.nat(60))
        .map(([from, length]) => EXAMPLE.slice(from, from + length)),
    ),
  }),
  { minLength: 1, maxLength: 5 },
);

const mutated = (list: readonly Edit[]) =>
  list.reduce((text, { at, cut, insert }) => text.slice(0, at) + insert + text.slice(at + cut), EXAMPLE);

/** What holds for any text at all. */
function check(text: string): void {
  const lines = text.split(/\r\n|\n|\r/).length;
  const result = parseManifests("x.yaml", text);
  for (const { location, message, object } of result.errors) {
    expect(location.file).toBe("x.yaml");
    expect(location.line).toBeGreaterThanOrEqual(1);
    expect(location.line).toBeLessThanOrEqual(lines);
    expect(location.column).toBeGreaterThanOrEqual(1);
    expect(message).not.toBe("");
    expect(message.length).toBeLessThan(2048);
    if (object === undefined) expect(result.unreadable).toBe(true);
  }
  if (result.unreadable) expect(result.errors.length).toBeGreaterThan(0);
  for (const { object, definition, locate } of result.manifests) {
    expect(definition.internal).not.toBe(true);
    expect(object.kind).not.toBe("Repository");
    // What went through once goes through again: nothing in it is left to chance.
    expect(definition.spec.parse(object.spec)).toEqual(object.spec);
    expect(JSON.parse(canonicalJson(object))).toEqual(JSON.parse(JSON.stringify(object)));
    expect(locate(["spec"]).line).toBeGreaterThanOrEqual(1);
  }
  const distinct = new Map(
    result.manifests.map((m) => [`${m.object.kind}/${m.object.metadata.name}`, m.object]),
  );
  expect(buildGraph([...distinct.values()]).order).toHaveLength(distinct.size);
}

describe("parseManifests takes any text", () => {
  it("the example itself", () => {
    const { manifests, errors } = parseManifests("x.yaml", EXAMPLE);
    expect(errors).toEqual([]);
    expect(manifests).toHaveLength(3);
  });

  it("the example with random edits", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(edits, (list) => check(mutated(list))),
      { numRuns: 4000 },
    );
  });

  it("the example cut anywhere", () => {
    for (let end = 0; end <= EXAMPLE.length; end += 1) check(EXAMPLE.slice(0, end));
  });

  it("the example with any character taken out", () => {
    for (let at = 0; at < EXAMPLE.length; at += 1) check(EXAMPLE.slice(0, at) + EXAMPLE.slice(at + 1));
  });

  it("fragments in any order", { timeout: 120_000 }, () => {
    const text = fc.array(fc.constantFrom(...FRAGMENTS, ...EXAMPLE.split("\n")), { maxLength: 40 });
    fc.assert(
      fc.property(text, (parts) => check(`kind: PromptTemplate\n${parts.join("")}`)),
      { numRuns: 2000 },
    );
  });

  it("any JSON value as a spec", { timeout: 120_000 }, () => {
    const kind = fc.constantFrom("PromptTemplate", "ModelDeployment", "EvalSuite", "Repository", "Other");
    fc.assert(
      fc.property(
        kind,
        fc.jsonValue({ maxDepth: 5 }),
        fc.jsonValue({ maxDepth: 2 }),
        (name, spec, metadata) => {
          const document = { apiVersion: "slipway.dev/v1alpha1", kind: name, metadata, spec };
          check(JSON.stringify(document));
          check(JSON.stringify({ ...document, metadata: { name: "a" } }));
        },
      ),
      { numRuns: 1500 },
    );
  });
});
