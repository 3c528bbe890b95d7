import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deploymentManifest, yamlOf } from "../scenario/manifests.ts";
import { prompt, suite } from "./story.ts";
import { type Proposal, readyOf, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

interface Fault {
  readonly files: Record<string, string>;
  /** Where the person has to look. */
  readonly at: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly field?: string;
  };
  /** What the message has to say. */
  readonly says: RegExp;
}

const head = (kind: string, name: string) =>
  `apiVersion: slipway.dev/v1alpha1\nkind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n`;
const message = "  messages:\n    - role: user\n      content: Hello\n";

/** One mistake a file; each is what somebody will type one day. */
const FAULTS: Readonly<Record<string, Fault>> = {
  syntax: {
    files: { "bad/syntax.yaml": `${head("PromptTemplate", "syntax")}  messages: [\n` },
    at: { file: "bad/syntax.yaml", line: 7, column: 1 },
    says: /./,
  },
  "unknown-field": {
    files: { "bad/unknown.yaml": `${head("PromptTemplate", "unknown")}${message}  temprature: 1\n` },
    at: { file: "bad/unknown.yaml", line: 9, column: 3, field: "spec.temprature" },
    says: /unknown field spec\.temprature/,
  },
  "wrong-type": {
    files: { "bad/type.yaml": `${head("PromptTemplate", "type")}  messages: Hello\n` },
    at: { file: "bad/type.yaml", line: 6, column: 3, field: "spec.messages" },
    says: /spec\.messages must be an array/,
  },
  "same-name": {
    files: {
      "bad/twins.yaml": `${head("PromptTemplate", "twin")}${message}---\n${head("PromptTemplate", "twin")}${message}`,
    },
    at: { file: "bad/twins.yaml", line: 4, column: 3, field: "metadata.name" },
    says: /PromptTemplate\/twin is also in bad\/twins\.yaml:13/,
  },
  "missing-reference": {
    files: { "bad/reference.yaml": yamlOf(suite("lost", 3, { prompt: "nobody", model: "model" })) },
    at: { file: "bad/reference.yaml", line: 9, column: 9, field: "spec.targets[0].promptRef.name" },
    says: /PromptTemplate "nobody"/,
  },
  "wrong-version": {
    files: { "bad/version.yaml": `${head("PromptTemplate", "version").replace("v1alpha1", "v1")}${message}` },
    at: { file: "bad/version.yaml", line: 1, column: 1, field: "apiVersion" },
    says: /write slipway\.dev\/v1alpha1/,
  },
  "bad-case": {
    files: {
      "bad/cases.jsonl": '{"id": "a", "expected": "x"}\n{"id": "b", "expected": "x"\n',
      "bad/cases.yaml": `${head("EvalSuite", "cases")}  targets:\n    - name: t\n      promptRef: {name: good}\n      modelRef: {name: model}\n  cases:\n    files: [{path: bad/cases.jsonl}]\n`,
    },
    at: { file: "bad/cases.jsonl", line: 2, column: 28 },
    says: /not JSON/,
  },
};

describe("bad input in a repository", () => {
  let world: World;
  let tenant: Tenant;
  /** The comment's words, without what keeps them from being Markdown. */
  const readable = (body: string) =>
    body
      .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
      .replaceAll("&quot;", '"')
      .replaceAll("\u200B", "")
      .replace(/\\([^\w\s])/g, "$1");
  const good = (name: string) => yamlOf(prompt(name, "plain"));
  const model = yamlOf(deploymentManifest("model", "http://127.0.0.1:9/v1"));

  beforeAll(async () => {
    world = await World.create();
    tenant = await world.tenant();
    const commit = await tenant.push({
      "good.yaml": good("good"),
      "fragile.yaml": good("fragile"),
      "doomed.yaml": good("doomed"),
      "model.yaml": model,
    });
    await tenant.follow();
    await tenant.synced(commit);
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  test("each pull request fails at once and its comment names file, line, column and field", async () => {
    const proposals: [Fault, Proposal][] = [];
    for (const [name, fault] of Object.entries(FAULTS)) {
      proposals.push([fault, await tenant.propose(name, fault.files)]);
    }
    for (const [{ at, says }, proposal] of proposals) {
      expect(await tenant.judged(proposal), proposal.branch).toMatchObject({
        status: "failure",
        description: expect.stringMatching(/errors? in the manifests/),
      });
      const body = readable((await tenant.comment(proposal)).body);
      expect(body).toContain(`${at.file}:${at.line}:${at.column}`);
      if (at.field !== undefined) expect(body).toContain(at.field);
      expect(body, proposal.branch).toMatch(says);
    }
    // What is on main is as it was.
    expect(readyOf(await tenant.object("Repository", "app"))).toMatchObject({ status: "True" });
    for (const [, { number }] of proposals) await tenant.repository.closePull(number);
  });

  test("on main all are in the status; good objects are applied, dependents held, and nothing is deleted", async () => {
    const files = Object.assign({}, ...Object.values(FAULTS).map((fault) => fault.files));
    const before = await tenant.object<{ spec: unknown }>("PromptTemplate", "fragile");
    const commit = await tenant.push({
      ...files,
      "fragile.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: PromptTemplate\nmetadata: {name: fragile\n",
      "doomed.yaml": undefined,
      "beside.yaml": good("beside"),
      "dependent.yaml": yamlOf(suite("dependent", 3, { prompt: "unknown", model: "model" })),
    });
    const repository = await tenant.said("InvalidManifests", commit);
    const { status } = repository;
    expect(status?.lastAppliedRevision).not.toBe(commit);
    const errors = status?.errors ?? [];
    // The condition has room for one: it names the first and how many there are beside it.
    const [first] = errors;
    expect(Object.keys({ ...files, "fragile.yaml": "" })).toContain(first?.file);
    expect(readyOf(repository)?.message).toContain(
      `${first?.file}:${first?.line}:${first?.column}: ${first?.message}`,
    );
    expect(readyOf(repository)?.message).toContain(`(and ${errors.length - 1} more)`);
    for (const { at, says } of Object.values(FAULTS)) {
      const found = errors.find(({ file, line }) => file === at.file && line === at.line);
      expect(found, `${at.file}:${at.line} in ${JSON.stringify(errors, null, 1)}`).toBeDefined();
      expect(found?.column, at.file).toBe(at.column);
      expect(found?.message).toMatch(says);
      if (at.field !== undefined) expect(found?.field).toBe(at.field);
    }
    expect(errors.some(({ file }) => file === "fragile.yaml")).toBe(true);
    // An error of its own would only hide where the mistake is: it is held with what it refers to.
    expect(errors.some(({ file }) => file === "dependent.yaml")).toBe(false);
    expect(await tenant.names("PromptTemplate")).toEqual(["beside", "doomed", "fragile", "good"]);
    expect(await tenant.names("EvalSuite")).toEqual([]);
    expect((await tenant.object<{ spec: unknown }>("PromptTemplate", "fragile"))?.spec).toEqual(before?.spec);
    expect(status?.inventory?.entries?.map(({ id }) => id.split("/")[1])).toContain("doomed");
  });

  test("once mended, what was deleted goes and what was held comes", async () => {
    const wrong = Object.values(FAULTS).flatMap(({ files }) => Object.keys(files));
    const commit = await tenant.push({
      ...Object.fromEntries(wrong.map((file) => [file, undefined])),
      "bad/unknown.yaml": good("unknown"),
      "fragile.yaml": good("fragile"),
    });
    await tenant.said("Synced", commit);
    await tenant.ready("PromptTemplate", "unknown");
    expect(await tenant.names("EvalSuite")).toEqual(["dependent"]);
    // The deployment's endpoint does not answer, so nothing may be deleted yet: the new state is not healthy.
    expect(await tenant.names("PromptTemplate")).toContain("doomed");
    expect(readyOf(await tenant.object("Repository", "app"))?.message).toMatch(/waiting for .* to be Ready/);
    const healthy = await tenant.push({ "model.yaml": undefined, "dependent.yaml": undefined });
    await tenant.said("Synced", healthy);
    await tenant.gone("PromptTemplate", "doomed");
    expect(await tenant.names("PromptTemplate")).toEqual(["beside", "fragile", "good", "unknown"]);
    expect((await tenant.object<{ status: object }>("Repository", "app"))?.status).not.toHaveProperty(
      "errors",
    );
  });

  test("onInvalid: Halt applies nothing beside an error", async () => {
    await tenant.follow({ onInvalid: "Halt" });
    const commit = await tenant.push({
      "bad/type.yaml": FAULTS["wrong-type"]?.files["bad/type.yaml"],
      "late.yaml": good("late"),
    });
    await tenant.said("InvalidManifests", commit);
    expect(await tenant.names("PromptTemplate")).not.toContain("late");
    const mended = await tenant.push({ "bad/type.yaml": undefined });
    await tenant.synced(mended);
    expect(await tenant.names("PromptTemplate")).toContain("late");
  });
});
