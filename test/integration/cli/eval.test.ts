import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ModelEndpointHandle, startModelEndpoint } from "../../model-endpoint.ts";
import { waitFor } from "../../scenario/wait.ts";
import { commit, modelFile, promptFile, start, suiteFile, temporaryFolder, write } from "./slipway.ts";

/** Says yes to a prompt that asks well. */
const answer = (request: { messages: readonly { content: string }[] }) =>
  request.messages.some(({ content }) => content.startsWith("Well")) ? "yes" : "no";

let endpoint: ModelEndpointHandle;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cache: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  [endpoint, folder, cache] = [
    await startModelEndpoint({ answer }),
    await temporaryFolder(),
    await temporaryFolder(),
  ];
});
afterEach(async () => {
  await Promise.all([endpoint, folder, cache].map((each) => each[Symbol.asyncDispose]()));
});

/** A folder with one suite; @param text decides what the endpoint answers */
const project = (text: string, cases: number, gate: object, external: object = {}) =>
  write(folder.path, {
    "prompt.yaml": promptFile(text),
    "model.yaml": modelFile(endpoint.baseURL, external),
    "suite.yaml": suiteFile(cases, gate),
  });
const begin = (args: readonly string[] = [], env: Record<string, string> = {}) =>
  start(["eval", "--file", folder.path, ...args], cache.path, env);
const evaluate = (args: readonly string[] = [], env: Record<string, string> = {}) => begin(args, env).ended;

describe("exit status", () => {
  test("0 and a summary when the gates hold; the second run asks nothing", async () => {
    await project("Well", 12, { min: 0.9 });
    const first = await evaluate();
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain("s: Pass, all 1 gates hold");
    expect(first.stdout).toContain("12 model calls made, 0 saved by the cache");
    const second = await evaluate();
    expect(second.stdout).toContain("0 model calls made, 12 saved by the cache");
    expect(endpoint.count).toBe(12);
  });

  test("of the suite that --suite names alone", async () => {
    await project("Well", 4, { min: 0.9 });
    // The other one fails its gate, and would be seen in calls and in the exit status.
    const other = suiteFile(9, { min: 0.9 }, { assert: [{ type: "equals", value: "no" }] });
    await write(folder.path, { "other.yaml": other.replace("name: s\n", "name: other\n") });
    expect((await evaluate()).code).toBe(1);
    const named = await evaluate(["--suite", "s"]);
    expect(named).toMatchObject({ code: 0 });
    expect(named.stdout).toContain("s: Pass");
    expect(named.stdout).not.toContain("other");
    const failing = await evaluate(["--suite", "other"]);
    expect(failing.code).toBe(1);
    expect(failing.stdout).not.toContain("s: Pass");
  });

  test("1 when a gate fails, with the worst cases", async () => {
    await project("Badly", 12, { min: 0.9 });
    const { code, stdout } = await evaluate();
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL {2}quality pass-rate NotMet: 0/);
    expect(stdout).toContain('worst main/c0: "no"');
  });

  test("2 when the endpoint refuses; what it said is shown", async () => {
    await project("Well", 4, { min: 0.9 });
    endpoint.set({ mode: "unauthorized" });
    const { code, stdout } = await evaluate();
    expect(code).toBe(2);
    expect(stdout).toContain("bad key");
  });

  test("2 for wrong usage, an unknown suite, no suite, and a folder that is not there", async () => {
    expect((await start(["eval"], cache.path).ended).code).toBe(2);
    expect(await evaluate()).toMatchObject({ code: 2, stdout: "there is no EvalSuite in the folder\n" });
    await project("Well", 4, { min: 0.9 });
    const unknown = await evaluate(["--suite", "t"]);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("choose one of s") });
    const missing = await start(["eval", "--file", join(folder.path, "nowhere")], cache.path).ended;
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain("nowhere");
    expect(endpoint.count).toBe(0);
  });

  test("2 for an invalid manifest, with its place, before anything is asked", async () => {
    await project("Well", 4, { min: 0.9 });
    await write(folder.path, { "prompt.yaml": promptFile("Well").replace("role: user", "role: usr") });
    const { code, stderr } = await evaluate();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^prompt\.yaml:\d+:\d+: /m);
    expect(endpoint.count).toBe(0);
  });
});

describe("against a base", () => {
  test("1 when the head regressed, and --json has the whole result", async () => {
    await project("Well", 40, { margin: 0.05 });
    const base = await commit(folder.path, "base");
    await write(folder.path, { "prompt.yaml": promptFile("Badly") });
    const file = join(folder.path, "..", `${base}.json`);
    const { code, stdout } = await evaluate(["--base", "main", "--json", file]);
    expect(code).toBe(1);
    expect(stdout).toContain("quality pass-rate Regressed");
    const [result] = JSON.parse(await readFile(file, "utf8")) as [Record<string, unknown>];
    expect(result).toMatchObject({ verdict: "Fail", calls: { made: 80, saved: 0 } });
    expect(result.cases).toHaveLength(40);
  });

  test("3 when too few cases tell; and the base's gates judge, not the head's", async () => {
    await project("Well", 8, { margin: 0.05 });
    const base = await commit(folder.path, "base");
    await project("Well and kindly", 8, { min: 0, max: 1 });
    const head = await commit(folder.path, "head");
    const { code, stdout } = await evaluate(["--base", base, "--head", head]);
    expect(stdout).toContain("quality pass-rate Inconclusive");
    expect(code).toBe(3);
  });

  test("0 and no call when nothing that a suite reaches has changed; the JSON is empty, not missing", async () => {
    await project("Well", 8, { margin: 0.05 });
    await commit(folder.path, "base");
    const file = join(cache.path, "result.json");
    const ended = await evaluate(["--base", "main", "--json", file]);
    expect(ended).toMatchObject({ code: 0, stdout: "no suite reaches what changes\n" });
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual([]);
    expect(endpoint.count).toBe(0);
  });

  test("2 outside of a repository, and for a ref that there is not", async () => {
    await project("Well", 4, { min: 0.9 });
    expect(await evaluate(["--base", "main"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("not in a git repository"),
    });
    await commit(folder.path, "base");
    expect(await evaluate(["--base", "nonsense"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("nonsense"),
    });
  });
});

describe("key", () => {
  const KEY = "k-very-secret-1";
  beforeEach(async () => {
    endpoint.set({ answer, apiKey: KEY });
    await project("Well", 4, { min: 0.9 }, { secretRef: { name: "key" } });
  });
  const host = () => new URL(endpoint.baseURL).host;

  test("goes to an allowed host and into no output", async () => {
    const file = join(cache.path, "result.json");
    const env = { SLIPWAY_API_KEY: KEY, SLIPWAY_ALLOWED_HOSTS: host() };
    const { code, stdout, stderr } = await evaluate(["--json", file], env);
    expect(code).toBe(0);
    expect(endpoint.headers[0]?.authorization).toBe(`Bearer ${KEY}`);
    expect(stdout + stderr + (await readFile(file, "utf8"))).not.toContain(KEY);
  });

  test.each([
    ["is missing", {}, "SLIPWAY_API_KEY"],
    ["may go nowhere", { SLIPWAY_API_KEY: KEY }, "may not be sent"],
    [
      "may go elsewhere",
      { SLIPWAY_API_KEY: KEY, SLIPWAY_ALLOWED_HOSTS: "api.example.com" },
      "may not be sent",
    ],
  ])("2 and no call when it %s", async (_, env, text) => {
    const { code, stdout, stderr } = await evaluate([], env);
    expect(code).toBe(2);
    expect(stdout + stderr).toContain(text);
    expect(stdout + stderr).not.toContain(KEY);
    expect(endpoint.count).toBe(0);
  });
});

describe("more than one run", () => {
  test("Ctrl-C keeps the answers that came", async () => {
    await project("Well", 60, { min: 0.9 });
    endpoint.set({ answer, latencyMs: 100 });
    const first = begin();
    await waitFor(
      "some answers",
      () => endpoint.count,
      (count) => count >= 24,
      { intervalMs: 20 },
    );
    // However slow this machine is, it is not over before the key press.
    endpoint.set({ answer, until: new Promise(() => {}) });
    first.kill("SIGINT");
    expect(await first.ended).toMatchObject({ code: 2, stderr: expect.stringContaining("interrupted") });
    const asked = endpoint.count;
    expect(asked).toBeLessThan(60);
    endpoint.set({ answer });
    const { code, stdout } = await evaluate();
    expect(code).toBe(0);
    // What was in flight is asked again: eight at most, the default concurrency.
    expect(endpoint.count - asked).toBeLessThanOrEqual(60 - asked + 8);
    expect(stdout).toMatch(/[1-9]\d* saved by the cache/);
  });

  test("two at once both end well; the second says that it keeps its answers to itself", async () => {
    await project("Well", 24, { min: 0.9 });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    endpoint.set({ answer, until: ended });
    const first = begin();
    await waitFor(
      "the first to ask",
      () => endpoint.count,
      (count) => count > 0,
      { intervalMs: 20 },
    );
    endpoint.set({ answer });
    const second = await evaluate();
    end();
    expect(second).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/in use by process \d+.*to itself/),
    });
    expect((await first.ended).code).toBe(0);
  });
});
