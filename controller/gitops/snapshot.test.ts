import { describe, expect, it, vi } from "vitest";
import { blobDigest } from "../graph/canonical.ts";
import { heldObjects, loadSnapshot } from "./snapshot.ts";
import { LIMITS, type Source } from "./source.ts";

// Many processes or much text: a busy machine needs longer than the default.
vi.setConfig({ testTimeout: 60_000 });

/** A repository in memory. */
function sourceOf(
  files: Readonly<Record<string, string | Uint8Array>>,
): Source & { readonly reads: string[] } {
  const data = new Map(
    Object.entries(files).map(([path, text]) => [path, typeof text === "string" ? Buffer.from(text) : text]),
  );
  const reads: string[] = [];
  return {
    reads,
    list: async () => [...data].map(([path, { byteLength }]) => ({ path, id: path, size: byteLength })),
    read: async (entries) => {
      reads.push(...entries.map(({ id }) => id));
      return new Map(entries.map(({ id }) => [id, data.get(id) ?? new Uint8Array()]));
    },
  };
}

const object = (kind: string, name: string, spec: string) =>
  `apiVersion: slipway.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec:\n${spec}`;
const prompt = (name: string, content = "Hi {{q}}") =>
  object(
    "PromptTemplate",
    name,
    `  messages:\n    - {role: user, content: "${content}"}\n  variables:\n    - {name: q}\n`,
  );
const model = (name: string) =>
  object(
    "ModelDeployment",
    name,
    "  type: External\n  external: {baseURL: https://m.example.com/v1, model: m}\n",
  );
const suite = (name: string, cases: string, { promptRef = "p", modelRef = "m", more = "" } = {}) =>
  object(
    "EvalSuite",
    name,
    `  targets:\n    - name: t\n      promptRef: {name: ${promptRef}}\n      modelRef: {name: ${modelRef}}\n  cases:\n    ${cases}\n${more}`,
  );
const INLINE = "inline: [{id: one, vars: {q: a}}]";
const FILES = "files:\n      - path: cases/a.jsonl";
const CASES = '{"id":"one","vars":{"q":"a"}}\n{"id":"two","vars":{"q":"b"}}\n';

const load = (files: Readonly<Record<string, string | Uint8Array>>, path = "") =>
  loadSnapshot(sourceOf(files), path);
const told = (snapshot: Awaited<ReturnType<typeof load>>) =>
  snapshot.errors.map(({ location: { file, line, column }, message, object: of }) => [
    [file, line, column].filter((part) => part !== undefined).join(":"),
    message,
    of,
  ]);

describe("loadSnapshot", () => {
  it("reads objects, cases and their contents, and pins files by digest", async () => {
    const snapshot = await load({
      "p.yaml": prompt("p"),
      "deep/m.yml": model("m"),
      "s.yaml": suite("s", FILES),
      "cases/a.jsonl": CASES,
      "README.md": "apiVersion: slipway.dev/v1alpha1",
    });
    expect(told(snapshot)).toEqual([]);
    expect(snapshot.incomplete).toBe(false);
    expect([...snapshot.held]).toEqual([]);
    expect(snapshot.graph.order).toEqual(["ModelDeployment/m", "PromptTemplate/p", "EvalSuite/s"]);
    expect(snapshot.cases.get("s")?.map(({ id }) => id)).toEqual(["one", "two"]);
    const [[digest, data]] = [...snapshot.blobs] as [[string, Uint8Array]];
    expect(Buffer.from(data).toString()).toBe(CASES);
    expect(snapshot.objects.find(({ kind }) => kind === "EvalSuite")?.spec).toMatchObject({
      cases: { files: [{ path: "cases/a.jsonl", digest }] },
    });
    for (const node of snapshot.graph.nodes.values()) expect(node.revision).toMatch(/^[0-9a-f]{64}$/);
  });

  it("takes the digest from the content, whatever the manifest claims", async () => {
    const claimed = `sha256:${"0".repeat(64)}`;
    const snapshot = await load({
      "a.yaml": [prompt("p"), model("m"), suite("s", `${FILES}\n        digest: "${claimed}"`)].join("---\n"),
      "cases/a.jsonl": CASES,
    });
    expect(told(snapshot)).toEqual([]);
    expect(JSON.stringify(snapshot.objects)).not.toContain(claimed);
  });

  it("pins the files of a Dataset, source by source, whatever digest the manifest claims", async () => {
    const claimed = `sha256:${"0".repeat(64)}`;
    const snapshot = await load({
      "d.yaml": object(
        "Dataset",
        "d",
        `  format: completion
  sources:
    - name: first
      files: [{path: a.jsonl, digest: "${claimed}"}, {path: b.jsonl}]
    - name: upstream
      datasetRef: {name: other, namespace: elsewhere}
    - name: second
      files: [{path: c.jsonl, digest: "${claimed}"}]
`,
      ),
      "a.jsonl": "a",
      "b.jsonl": "b",
      "c.jsonl": "c",
    });
    expect(told(snapshot)).toEqual([]);
    const file = (name: string) => ({ path: `${name}.jsonl`, digest: blobDigest(name) });
    expect(snapshot.objects[0]?.spec).toMatchObject({
      sources: [{ files: [file("a"), file("b")] }, { name: "upstream" }, { files: [file("c")] }],
    });
    expect([...snapshot.blobs.keys()]).toEqual(["a", "b", "c"].map(blobDigest));
  });

  it("reads below the path only, and case files relative to it", async () => {
    const files = {
      "team/all.yaml": [prompt("p"), model("m"), suite("s", FILES)].join("---\n"),
      "team/cases/a.jsonl": CASES,
      "team2/p.yaml": prompt("other"),
      "p.yaml": prompt("third"),
      "cases/a.jsonl": "broken",
    };
    const source = sourceOf(files);
    const snapshot = await loadSnapshot(source, "team");
    expect(told(snapshot)).toEqual([]);
    expect(snapshot.objects).toHaveLength(3);
    expect(source.reads.every((path) => path.startsWith("team/"))).toBe(true);
  });

  it("never reads outside the path, whatever a suite asks for", async () => {
    const source = sourceOf({
      "team/a.yaml": [
        prompt("p"),
        model("m"),
        suite("up", "files: [{path: ../secret.jsonl}]"),
        suite("root", "files: [{path: /etc/passwd}]"),
        suite("sibling", "files: [{path: secret.jsonl}]"),
      ].join("---\n"),
      "secret.jsonl": CASES,
    });
    const snapshot = await loadSnapshot(source, "team");
    expect(source.reads).toEqual(["team/a.yaml"]);
    expect(snapshot.errors.map((error) => error.object)).toEqual([
      "EvalSuite/up",
      "EvalSuite/root",
      "EvalSuite/sibling",
    ]);
  });

  it("leaves files in hidden folders alone", async () => {
    const snapshot = await load({
      ".github/a.yaml": prompt("p"),
      "x/.b/c.yaml": prompt("q"),
      ".d.yaml": prompt("r"),
    });
    expect(snapshot.objects).toEqual([]);
    expect(snapshot.incomplete).toBe(false);
  });

  it("takes a folder that is not there for a mistake, not for an empty repository", async () => {
    const snapshot = await load({ "p.yaml": prompt("p") }, "team");
    expect(told(snapshot)).toEqual([["team", "there is no such folder: check spec.path", undefined]]);
    expect(snapshot.incomplete).toBe(true);
  });

  it("tells of a missing reference at its place, once", async () => {
    const snapshot = await load({
      "s.yaml": suite("s", INLINE, { promptRef: "gone" }),
      "m.yaml": model("m"),
    });
    expect(told(snapshot)).toEqual([
      [
        "s.yaml:7:19",
        'spec.targets[0].promptRef.name: PromptTemplate "gone" is not in the repository',
        "EvalSuite/s",
      ],
    ]);
    expect([...snapshot.held.keys()]).toEqual(["EvalSuite/s"]);
  });

  it("does not tell of a reference to what is invalid, but holds it", async () => {
    const snapshot = await load({
      "p.yaml": prompt("p").replace("role: user", "role: robot"),
      "m.yaml": model("m"),
      "s.yaml": suite("s", INLINE),
      "other.yaml": `${suite("other", INLINE, { promptRef: "fine" })}---\n${prompt("fine")}`,
    });
    expect(snapshot.errors).toHaveLength(1);
    expect([...snapshot.held]).toEqual([
      ["PromptTemplate/p", "Invalid"],
      ["EvalSuite/s", "refers to PromptTemplate/p, which is held"],
    ]);
    expect(snapshot.incomplete).toBe(false);
  });

  it("uses neither of two objects of one name, and tells of both", async () => {
    const snapshot = await load({ "a.yaml": prompt("p"), "b.yaml": `# second\n${prompt("p", "Bye {{q}}")}` });
    expect(told(snapshot)).toEqual([
      ["a.yaml:3:12", "PromptTemplate/p is also in b.yaml:4: rename one of them", "PromptTemplate/p"],
      ["b.yaml:4:12", "PromptTemplate/p is also in a.yaml:3: rename one of them", "PromptTemplate/p"],
    ]);
    expect(snapshot.objects).toEqual([]);
    expect([...snapshot.held.keys()]).toEqual(["PromptTemplate/p"]);
  });

  it("places a fault of a prompt's template", async () => {
    const snapshot = await load({ "p.yaml": prompt("p", "Hi {{nobody}}") });
    expect(snapshot.errors).toHaveLength(1);
    expect(told(snapshot)[0]).toEqual([
      "p.yaml:6:20",
      expect.stringMatching(
        /^spec\.messages\[0\]\.content \(line 1, column 4 of the text\): variable nobody is used/,
      ),
      "PromptTemplate/p",
    ]);
    expect(snapshot.warnings).toMatchObject([{ object: "PromptTemplate/p", location: { line: 8 } }]);
  });

  it("tells of a missing case file where it is named", async () => {
    const snapshot = await load({ "a.yaml": [prompt("p"), model("m"), suite("s", FILES)].join("---\n") });
    expect(told(snapshot)).toEqual([["a.yaml:27:9", "there is no file cases/a.jsonl", "EvalSuite/s"]]);
    expect([...snapshot.held.keys()]).toEqual(["EvalSuite/s"]);
    expect(snapshot.objects.map(({ kind }) => kind)).toEqual(["PromptTemplate", "ModelDeployment"]);
  });

  it("tells of a bad case with its place in the case file", async () => {
    const snapshot = await load({
      "a.yaml": [prompt("p"), model("m"), suite("s", FILES)].join("---\n"),
      "cases/a.jsonl": '{"id":"one"}\n\n{"id":"two","vrs":{}}\nnot json\n{"id":"one"}\n',
    });
    const errors = told(snapshot);
    expect(errors.map(([place]) => place)).toEqual([
      expect.stringMatching(/^cases\/a\.jsonl:4:1$/),
      expect.stringMatching(/^cases\/a\.jsonl:3:1$/),
      expect.stringMatching(/^cases\/a\.jsonl:5:1$/),
    ]);
    for (const [, message, of] of errors) {
      expect(message).toMatch(/.{5}/);
      expect(of).toBe("EvalSuite/s");
    }
    expect(snapshot.blobs.size).toBe(0);
  });

  it("tells of two cases of one id, in the manifest or in a file and the manifest", async () => {
    const twice = "inline:\n      - {id: one}\n      - {id: one}";
    const inline = await load({ "a.yaml": [prompt("p"), model("m"), suite("s", twice)].join("---\n") });
    expect(told(inline)).toEqual([
      ["a.yaml:28:10", expect.stringMatching(/^spec\.cases\.inline\[1\]\.id: "one" is also/), "EvalSuite/s"],
    ]);
    const both = `inline:\n      - {id: other}\n      - {id: one}\n    ${FILES}`;
    const file = await load({
      "a.yaml": [prompt("p"), model("m"), suite("s", both)].join("---\n"),
      "cases/a.jsonl": CASES,
    });
    expect(told(file)).toEqual([
      [
        "cases/a.jsonl:1:1",
        expect.stringMatching(/^case one is already at spec\.cases\.inline\[1\]/),
        "EvalSuite/s",
      ],
    ]);
  });

  it("is incomplete when a file cannot be read, and keeps what is beside it", async () => {
    const good = { "good.yaml": prompt("good") };
    for (const bad of [
      "kind: PromptTemplate\na: [",
      prompt("x").replace("kind: PromptTemplate", "kind: Prompt"),
      new Uint8Array([0xff, 0xfe, 0x41, 0]),
    ]) {
      const snapshot = await load({ ...good, "bad.yaml": bad });
      expect(snapshot.objects.map(({ metadata }) => metadata.name)).toEqual(["good"]);
      expect(snapshot.incomplete).toBe(true);
      expect(snapshot.errors.map(({ location }) => location.file)).toEqual(["bad.yaml"]);
    }
  });

  it("is incomplete beside a large YAML file that may hold manifests, unless a suite names it", async () => {
    const large = `# slipway.dev ${"x".repeat(LIMITS.manifestBytes)}\n- {id: one, vars: {q: a}}\n`;
    const named = suite("s", "files: [{path: large.yaml}]");
    const files = { "a.yaml": [prompt("p"), model("m")].join("---\n"), "large.yaml": large };
    const unnamed = await load(files);
    expect(unnamed).toMatchObject({ errors: [], incomplete: true });
    expect(unnamed.warnings.map(({ location }) => location.file)).toEqual(["large.yaml"]);
    const used = await load({ ...files, "s.yaml": named });
    expect(used).toMatchObject({ errors: [], warnings: [], incomplete: false });
    expect(used.cases.get("s")).toHaveLength(1);
  });

  it.each([
    ["does not mention us", "", LIMITS.manifestBytes + 1, false],
    ["mentions us at its end", "\nkind: PromptTemplate\n", LIMITS.manifestBytes + 1, true],
    ["is too large to be looked through", "", LIMITS.searchedBytes + 1, true],
  ])("beside a large YAML file that %s", async (_what, end, size, incomplete) => {
    const file = Buffer.alloc(size + end.length, "#");
    file.write(end, size);
    const snapshot = await load({ "p.yaml": prompt("p"), "values.yaml": file });
    expect(snapshot).toMatchObject({ errors: [], incomplete });
    expect(snapshot.unread).toBe(incomplete ? "values.yaml" : undefined);
    expect(snapshot.warnings.map(({ location }) => location.file)).toEqual(incomplete ? ["values.yaml"] : []);
  });

  it("tells of a symlink in the place of a manifest, and is incomplete", async () => {
    const source = sourceOf({ "p.yaml": prompt("p") });
    const link = (path: string) => ({ path, id: path, size: 0, link: true as const });
    const list = async () => [
      ...(await source.list()),
      ...["q.yaml", ".hidden/r.yaml", "team/s.yml"].map(link),
    ];
    const snapshot = await loadSnapshot({ ...source, list }, "");
    expect(snapshot.objects.map(({ metadata }) => metadata.name)).toEqual(["p"]);
    expect(snapshot.incomplete).toBe(true);
    const message = "a symlink or submodule: it is not followed; put the file itself there";
    expect(told(snapshot)).toEqual([
      ["q.yaml", message, undefined],
      ["team/s.yml", message, undefined],
    ]);
    expect(source.reads).toEqual(["p.yaml"]);
    const below = await loadSnapshot({ ...source, list }, "team");
    expect(below.errors.map(({ location }) => location.file)).toEqual(["team/s.yml"]);
  });

  it("tells of a file too many folders deep, and is incomplete", async () => {
    const path = `${"d/".repeat(LIMITS.depth)}p.yaml`;
    const snapshot = await load({ [path]: prompt("p") });
    expect(snapshot).toMatchObject({ objects: [], incomplete: true });
    expect(told(snapshot)).toEqual([[path, `more than ${LIMITS.depth} folders deep`, undefined]]);
  });

  it("refuses more objects than the inventory holds", async () => {
    const many = Array.from({ length: 9 }, (_, file) => [
      `${file}.yaml`,
      Array.from({ length: 500 }, (_, i) => model(`m-${file}-${i}`)).join("---\n"),
    ]);
    const snapshot = await load(Object.fromEntries(many));
    expect(snapshot).toMatchObject({ objects: [], incomplete: true });
    expect(told(snapshot)).toEqual([["8.yaml", expect.stringMatching(/^more than 4000 objects/), undefined]]);
  });

  it("counts a case file for every suite that reads it", async () => {
    const big = Buffer.alloc(20 << 20, " ");
    big.write(`${CASES.split("\n")[0]}\n`);
    const suites = ["s1", "s2", "s3", "s4"].map((name) => suite(name, FILES));
    const snapshot = await load({
      "a.yaml": [prompt("p"), model("m"), ...suites].join("---\n"),
      "cases/a.jsonl": big,
    });
    expect(told(snapshot).map(([, message, of]) => [message, of])).toEqual([
      [
        `the files that manifests name have more than ${LIMITS.totalCaseFileBytes} bytes with cases/a.jsonl`,
        "EvalSuite/s4",
      ],
    ]);
  });

  it.each([
    ["cases/a.jsonl", "1\n".repeat(1_000_000)],
    ["cases/a.csv", "1\n".repeat(1_000_001)],
    ["cases/a.yaml", `- ${"[".repeat(1_000_000)}`],
    ["cases/a.json", "]".repeat(1_000_000)],
  ])("refuses a %s that costs more than its bytes", async (path, text) => {
    const snapshot = await load({
      "a.yaml": [prompt("p"), model("m"), suite("s", `files: [{path: ${path}}]`)].join("---\n"),
      [path]: text,
    });
    expect(told(snapshot)).toEqual([
      [
        "a.yaml:26:14",
        expect.stringMatching(/^cases\/a\.\w+ has more than \d+ (lines|YAML tokens)/),
        "EvalSuite/s",
      ],
    ]);
  });
});

describe("heldObjects", () => {
  it("follows references as far as they go", async () => {
    const judged = suite("judged", INLINE, {
      promptRef: "fine",
      modelRef: "fine",
      more: "  judge: {modelRef: {name: m}}\n",
    });
    const { graph } = await load({
      "a.yaml": [prompt("p"), model("m"), suite("s", INLINE), judged, prompt("fine"), model("fine")].join(
        "---\n",
      ),
    });
    const held = heldObjects(graph, [{ location: { file: "a" }, message: "x", object: "ModelDeployment/m" }]);
    expect([...held.keys()].sort()).toEqual(["EvalSuite/judged", "EvalSuite/s", "ModelDeployment/m"]);
  });
});
