import { describe, expect, it, vi } from "vitest";
import { type LoadError, parseFieldPath, parseManifests } from "./manifest.ts";
import { YAML_LIMITS } from "./yaml-documents.ts";

// Many processes or much text: a busy machine needs longer than the default.
vi.setConfig({ testTimeout: 60_000 });

const HEAD = "apiVersion: slipway.dev/v1alpha1\nkind: PromptTemplate\nmetadata:\n  name: hello\n";
const GOOD = `${HEAD}spec:\n  messages:\n    - role: user\n      content: Hi\n`;
const parse = (text: string) => parseManifests("a.yaml", text);

/** `line:column field message` of each error, and the object it belongs to. */
const said = ({ errors }: { errors: readonly LoadError[] }) =>
  errors.map(({ location, message, object }) => {
    expect(location.file).toBe("a.yaml");
    const { line, column, field } = location;
    return [`${line}:${column}`, field, message, object];
  });
const names = (text: string) => parse(text).manifests.map(({ object }) => object.metadata.name);

describe("a good file", () => {
  it("gives objects with defaults and the place of each field", () => {
    const { manifests, errors, unreadable } = parse(`# a comment\n${GOOD}`);
    expect({ errors, unreadable }).toEqual({ errors: [], unreadable: false });
    const [manifest] = manifests;
    expect(manifest?.object).toEqual({
      apiVersion: "slipway.dev/v1alpha1",
      kind: "PromptTemplate",
      metadata: { name: "hello" },
      spec: { messages: [{ role: "user", content: "Hi" }], variables: [] },
    });
    expect(manifest?.locate(["spec", "messages", 0, "content"])).toEqual({
      file: "a.yaml",
      line: 9,
      column: 7,
      field: "spec.messages[0].content",
    });
    expect(manifest?.locate(["spec", "messages", 0])).toMatchObject({ line: 8, column: 7 });
    // What is not there: the nearest parent.
    expect(manifest?.locate(["spec", "parameters", "seed"])).toMatchObject({ line: 6, column: 1 });
  });

  it.each([
    ["CRLF", GOOD.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${GOOD}`],
    [
      "JSON",
      JSON.stringify({
        apiVersion: "slipway.dev/v1alpha1",
        kind: "PromptTemplate",
        metadata: { name: "hello" },
        spec: { messages: [{ role: "user", content: "Hi" }] },
      }),
    ],
    ["a line of 500 KB in a comment", `# ${"x".repeat(500_000)}\n${GOOD}`],
    [
      "anchors and aliases",
      `${HEAD}spec:\n  messages:\n    - &m\n      role: user\n      content: Hi\n    - *m\n`,
    ],
    ["keys in quotes", GOOD.replace("kind:", '"kind" :')],
  ])("may have %s", (_, text) => {
    const { manifests, errors } = parse(text);
    expect(errors).toEqual([]);
    expect(manifests).toHaveLength(1);
    const { messages } = manifests[0]!.object.spec as { messages: unknown[] };
    expect(messages[0]).toEqual({ role: "user", content: "Hi" });
    expect(messages.at(-1)).toEqual({ role: "user", content: "Hi" });
  });

  it.each([
    ["empty", ""],
    ["of somebody else", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"],
    ["broken, of somebody else", "{{ if .Values.x }}\na: [\n"],
    [
      "another operator's kind of the same name",
      "apiVersion: other.example.com/v1\nkind: PromptTemplate\nmetadata: {name: a}\n",
    ],
    ["a list that mentions us", "- slipway.dev\n- kind: PromptTemplate\n"],
    ["a scalar that mentions us", "slipway.dev"],
    ["settings with a kind and nothing else", "kind: Repository\nurl: x\n"],
    ["somebody's duplicate keys beside our name", "image: slipway.dev/x\na: 1\na: 2\n"],
  ])("that is %s is none of our business", (_, text) => {
    expect(parse(text)).toEqual({ manifests: [], errors: [], unreadable: false });
  });

  it("keeps good documents beside bad ones", () => {
    const bad = GOOD.replace("hello", "bad").replace("role: user", "role: robot");
    const result = parse(`${GOOD}---\n${bad}---\n${GOOD.replace("hello", "third")}---\n---\n# nothing\n`);
    expect(result.manifests.map(({ object }) => object.metadata.name)).toEqual(["hello", "third"]);
    expect(said(result)).toEqual([
      [
        "16:7",
        "spec.messages[0].role",
        "spec.messages[0].role must be one of system, developer, user, assistant",
        "PromptTemplate/bad",
      ],
    ]);
    expect(result.unreadable).toBe(false);
  });

  it("leaves parsing two documents of one name to the snapshot", () => {
    expect(names(`${GOOD}---\n${GOOD}`)).toEqual(["hello", "hello"]);
  });
});

describe("a fault is told with line, column and field, and the object it belongs to", () => {
  const OBJECT = "PromptTemplate/hello";
  it.each<[string, string, string, string | undefined, string]>([
    [
      "an unknown field of the spec",
      `${GOOD}  mesages: []\n`,
      "9:3",
      "spec.mesages",
      "unknown field spec.mesages",
    ],
    [
      "an unknown field deep down",
      `${GOOD}      tone: x\n`,
      "9:7",
      "spec.messages[0].tone",
      "unknown field spec.messages[0].tone",
    ],
    ["an unknown field at the top", `${GOOD}extra: 1\n`, "9:1", "extra", "unknown field extra"],
    [
      "an unknown field of metadata",
      GOOD.replace("  name: hello", "  name: hello\n  uid: x"),
      "5:3",
      "metadata.uid",
      "unknown field metadata.uid",
    ],
    [
      "a wrong type",
      `${HEAD}spec:\n  messages: yes please\n`,
      "6:3",
      "spec.messages",
      "spec.messages must be an array",
    ],
    [
      "a number for text",
      GOOD.replace("Hi", "42"),
      "8:7",
      "spec.messages[0].content",
      "spec.messages[0].content must be a string",
    ],
    [
      "a missing field",
      `${HEAD}spec:\n  messages:\n    - role: user\n`,
      "7:7",
      "spec.messages[0].content",
      "spec.messages[0].content is missing: it needs a string",
    ],
    ["a missing spec", HEAD, "1:1", "spec.messages", "spec.messages is missing: it needs an array"],
    [
      "a wrong enum",
      GOOD.replace("user", "robot"),
      "7:7",
      "spec.messages[0].role",
      "spec.messages[0].role must be one of system, developer, user, assistant",
    ],
    [
      "a rule of the kind",
      GOOD.replace("user", "system"),
      "5:1",
      "spec",
      "messages needs at least one with role: user",
    ],
    ["status", `${GOOD}status: {}\n`, "9:1", "status", "status is written by Slipway: leave it out"],
    [
      "a namespace",
      GOOD.replace("  name: hello", "  name: hello\n  namespace: prod"),
      "5:3",
      "metadata.namespace",
      "leave metadata.namespace out: objects go to the Repository's own namespace",
    ],
    [
      "a reserved label",
      GOOD.replace("  name: hello", "  name: hello\n  labels:\n    slipway.dev/repository: x"),
      "6:5",
      "metadata.labels.slipway.dev/repository",
      "slipway.dev/repository is set by Slipway and cannot come from git",
    ],
    [
      "a reserved annotation of a subdomain",
      GOOD.replace("  name: hello", "  name: hello\n  annotations: {x.slipway.dev/a: b}"),
      "5:17",
      "metadata.annotations.x.slipway.dev/a",
      "x.slipway.dev/a is set by Slipway and cannot come from git",
    ],
    [
      "a label that is no text",
      GOOD.replace("  name: hello", "  name: hello\n  labels: {a: 1}"),
      "5:3",
      "metadata.labels",
      "metadata.labels must be a map of strings",
    ],
    [
      "labels that are a list",
      GOOD.replace("  name: hello", "  name: hello\n  labels: [a]"),
      "5:3",
      "metadata.labels",
      "metadata.labels must be a map of strings",
    ],
    [
      "a wrong version",
      GOOD.replace("v1alpha1", "v1"),
      "1:1",
      "apiVersion",
      'apiVersion "slipway.dev/v1" does not exist: write slipway.dev/v1alpha1',
    ],
    [
      "a mistyped group",
      GOOD.replace("slipway.dev", "slipwya.dev"),
      "1:1",
      "apiVersion",
      'apiVersion "slipwya.dev/v1alpha1" does not exist: write slipway.dev/v1alpha1',
    ],
    [
      "a forgotten group",
      GOOD.replace("slipway.dev/", ""),
      "1:1",
      "apiVersion",
      'apiVersion "v1alpha1" does not exist: write slipway.dev/v1alpha1',
    ],
    [
      "a forgotten apiVersion",
      GOOD.replace(/^.*\n/, ""),
      "1:1",
      "apiVersion",
      "apiVersion is missing: write slipway.dev/v1alpha1",
    ],
    [
      "a merge key in the spec",
      `${GOOD}  variables:\n    - {<<: {name: a}, type: string}\n`,
      "10:8",
      undefined,
      "not usable YAML: merge keys (<<) are not supported: write the fields out",
    ],
    [
      "a key that stands twice",
      `${GOOD}  messages: []\n`,
      "9:3",
      undefined,
      'not usable YAML: the key "messages" stands twice in one map: remove one of them',
    ],
    [
      "__proto__",
      `${GOOD}  __proto__: {a: 1}\n`,
      "9:3",
      undefined,
      'not usable YAML: "__proto__" cannot be a key',
    ],
    [
      "a key that is a list",
      `${GOOD}  ? [a, b]\n  : c\n`,
      "9:5",
      undefined,
      "not usable YAML: a key must be text",
    ],
    [
      "not a number",
      `${GOOD}  outputSchema: {minimum: .nan}\n`,
      "9:18",
      "spec.outputSchema.minimum",
      "not usable: spec.outputSchema.minimum is NaN, which JSON has not: write a number or text",
    ],
    [
      "infinity",
      `${GOOD}  outputSchema: [1, -.inf]\n`,
      "9:21",
      "spec.outputSchema[1]",
      "not usable: spec.outputSchema[1] is -Infinity, which JSON has not: write a number or text",
    ],
    [
      "half a surrogate pair",
      GOOD.replace("Hi", '"\\uD83D"'),
      "8:7",
      "spec.messages[0].content",
      "not usable: spec.messages[0].content has half of a surrogate pair, which is no character",
    ],
    [
      "a tag",
      `${GOOD}  outputSchema: !!timestamp 2001-01-01\n`,
      "9:17",
      undefined,
      "not usable YAML: tags (!…) mean nothing here: remove it",
    ],
    [
      "a set",
      `${GOOD}  outputSchema: !!set {a, b}\n`,
      "9:17",
      undefined,
      "not usable YAML: tags (!…) mean nothing here: remove it",
    ],
  ])("%s", (_, text, place, field, message) => {
    const result = parse(text);
    const [first] = said(result);
    expect(first?.slice(0, 3)).toEqual([place, field, message]);
    expect(result.manifests).toEqual([]);
    // Either the object is known and held, or nothing at all is pruned.
    expect(result.unreadable).toBe(first?.[3] === undefined);
    if (first?.[3] !== undefined) expect(first[3]).toBe(OBJECT);
  });

  it.each([
    [
      "a Repository",
      "Repository",
      "a Repository cannot come from git: what git may do is decided by the one in the cluster",
    ],
    ["an EvalRun", "EvalRun", "EvalRun objects are made by the controller and cannot come from git"],
  ])("%s from git", (_, kind, message) => {
    const result = parse(GOOD.replace("PromptTemplate", kind));
    expect(said(result)).toEqual([["2:1", "kind", message, `${kind}/hello`]]);
  });

  it.each([
    [
      "a mistyped kind",
      GOOD.replace("PromptTemplate", "PromptTemplat"),
      "2:1",
      "kind",
      /^kind "PromptTemplat" does not exist: write one of Dataset, PromptTemplate, FineTuneJob/,
    ],
    ["no kind", GOOD.replace("kind: PromptTemplate\n", ""), "1:1", "kind", /^kind is missing/],
    [
      "no metadata",
      GOOD.replace("metadata:\n  name: hello\n", ""),
      "1:1",
      "metadata",
      /^metadata is missing/,
    ],
    ["no name", GOOD.replace("name: hello", "labels: {}"), "3:1", "metadata.name", /^metadata.name must be/],
    [
      "a name that is a number",
      GOOD.replace("hello", "12"),
      "4:3",
      "metadata.name",
      /^metadata.name must be/,
    ],
    ["a name in capitals", GOOD.replace("hello", "Hello"), "4:3", "metadata.name", /^metadata.name must be/],
    [
      "a name with a slash",
      GOOD.replace("hello", "../hello"),
      "4:3",
      "metadata.name",
      /^metadata.name must be/,
    ],
    [
      "a name of 64 letters",
      GOOD.replace("hello", "a".repeat(64)),
      "4:3",
      "metadata.name",
      /^metadata.name must be/,
    ],
  ])("%s: it may be any object, so nothing may be pruned", (_, text, place, field, message) => {
    const result = parse(text);
    expect(result.errors).toHaveLength(1);
    expect(said(result)[0]).toEqual([place, field, expect.stringMatching(message), undefined]);
    expect(result.unreadable).toBe(true);
  });

  it.each([
    ["an open quote", `${HEAD}spec: "abc\n`, "6:1"],
    ["a tab for indentation", `${HEAD}spec:\n\tmessages: []\n`, "6:1"],
    ["an open bracket", `${HEAD}spec: [a\n`, "6:1"],
    ["a closing bracket", `${HEAD}spec: ]\n`, "5:7"],
    ["wrong indentation", `${HEAD}spec:\n  a: 1\n c: 2\n`, "7:1"],
    ["no space after the colon", `${HEAD}spec:\n  a:1\n  b: 2\n`, "6:3"],
  ])("%s is a syntax error, and the file counts as unreadable", (_, text, place) => {
    const result = parse(text);
    const [first] = said(result);
    expect(first).toEqual([place, undefined, expect.stringMatching(/^not valid YAML: ./), undefined]);
    expect(String(first?.[2])).not.toContain("\n");
    expect(result).toMatchObject({ manifests: [], unreadable: true });
  });

  it("a NUL byte, at its place", () => {
    const result = parse(GOOD.replace("Hi", "H\0i"));
    expect(said(result)).toEqual([["8:17", undefined, "has a NUL byte: it is not text", undefined]]);
    expect(result.unreadable).toBe(true);
  });

  it("many at once, at most ten a document", () => {
    const fields = Array.from({ length: 30 }, (_, i) => `    - {role: x${i}, content: a}`).join("\n");
    const { errors } = parse(`${HEAD}spec:\n  messages:\n${fields}\n`);
    expect(errors).toHaveLength(10);
    expect(errors.map(({ location }) => location.line)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  });

  it("never longer than a message should be", () => {
    const long = "x".repeat(50_000);
    for (const text of [
      `${GOOD}${long}: 1\n`,
      `${GOOD}  ${long}: 1\n`,
      GOOD.replace("PromptTemplate", long),
      GOOD.replace("v1alpha1", long),
      GOOD.replace("user", long),
      `${GOOD}  a: {${long}: 1, ${long}: 2}\n`,
      `${GOOD}  a: @${long}\n`,
    ]) {
      const { errors } = parse(text);
      expect(errors.length).toBeGreaterThan(0);
      for (const { message } of errors) expect(message.length).toBeLessThan(600);
    }
  });
});

describe("what is hostile is refused quickly", () => {
  const N = 300_000;
  const repeated = (unit: string, prefix = "") => prefix + unit.repeat(Math.ceil(N / unit.length));
  const numbered = (unit: (i: number) => string, count: number) =>
    Array.from({ length: count }, (_, i) => unit(i)).join("");
  const bomb = () => {
    const levels = numbered((i) => `  l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(", ")}]\n`, 9);
    return `${HEAD}spec:\n  l0: &l0 lol\n${levels}`;
  };

  it.each<[string, string]>([
    ["an alias bomb", bomb()],
    ["a value that holds itself", `${HEAD}spec:\n  outputSchema: &a {a: *a}\n`],
    [
      "aliases of a large text",
      `${HEAD}spec:\n  a: &a ${"x".repeat(100_000)}\n  b: [${Array(90).fill("*a").join(", ")}]\n`,
    ],
    [
      "many aliases",
      `${HEAD}spec:\n  a: [${numbered((i) => `&a${i} 1, `, 4000)}${numbered((i) => `*a${i} , `, 4000)}]\n`,
    ],
    ["an alias of nothing", `${HEAD}spec: *a\n`],
    ["deep lists", `${HEAD}spec:\n  a: ${repeated("[")}`],
    ["deep closed lists", `${HEAD}spec:\n  a: ${"[".repeat(500)}${"]".repeat(500)}`],
    [
      "lists just too deep",
      `${HEAD}spec:\n  outputSchema: ${"[".repeat(YAML_LIMITS.depth)}${"]".repeat(YAML_LIMITS.depth)}`,
    ],
    ["deep maps", `${HEAD}spec:\n  a: ${repeated("{a: ")}`],
    ["deep dashes", `${HEAD}spec:\n  ${repeated("- ")}`],
    ["deep question marks", `${HEAD}${repeated("? ")}`],
    ["closing brackets", `${HEAD}spec: ${repeated("]")}`],
    ["commas", `${HEAD}spec: [${repeated(",")}`],
    ["anchors", `${HEAD}spec: ${repeated("&a ")}`],
    ["tags", `${HEAD}spec: ${repeated("!a ")}`],
    ["colons", `${HEAD}spec: ${repeated(": ")}`],
    ["documents", `${HEAD}${repeated("---\n")}`],
    ["document ends", `${HEAD}${repeated("...\n")}`],
    ["directives", `${repeated("%YAML 1.2\n")}${HEAD}`],
    ["newlines", `${HEAD}spec: {${repeated("\n")}`],
    ["carriage returns", `${HEAD}${repeated("  a: 'x\r")}`],
    ["many keys", `${HEAD}spec:\n${numbered((i) => `  k${i}:\n`, 15_000)}`],
    ["many keys in one line", `${HEAD}spec: {${numbered((i) => `k${i},`, 30_000)}}`],
    ["a long number", `${HEAD}spec:\n  a: ${repeated("1")}`],
    ["an open text of one line", `${HEAD}spec:\n  a: "${repeated("x")}`],
    ["spaces to fold", `${HEAD}spec:\n  a: "x\n${repeated(" ")}"`],
  ])("%s", (_, text) => {
    const start = performance.now();
    const result = parse(text);
    expect(result.manifests).toEqual([]);
    expect(result.errors.length).toBeGreaterThan(0);
    expect(result.errors.length).toBeLessThanOrEqual(20);
    for (const { location } of result.errors) expect(location.line).toBeGreaterThan(0);
    // Not a measurement: what has no bound takes minutes, or ends the process.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it("takes the last level that is allowed", () => {
    // The document, spec and outputSchema are levels too.
    const depth = YAML_LIMITS.depth - 2;
    const result = parse(`${GOOD}  outputSchema: ${"[".repeat(depth)}${"]".repeat(depth)}\n`);
    expect(result.errors).toEqual([]);
  });

  it("does not let a key reach an object's prototype", () => {
    parse(`${GOOD}  constructor: {prototype: {polluted: 1}}\n  __proto__: {polluted: 1}\n`);
    parse(`__proto__: {polluted: 1}\n${GOOD}`);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("parseFieldPath", () => {
  it("reads what fieldPath writes", () => {
    expect(parseFieldPath("spec.messages[10].content")).toEqual(["spec", "messages", 10, "content"]);
    expect(parseFieldPath("spec")).toEqual(["spec"]);
    expect(parseFieldPath("")).toEqual([]);
  });
});
