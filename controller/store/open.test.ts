import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "./database.ts";
import { openStateStore } from "./open.ts";
import { CANCELLED, type StateStore } from "./store.ts";

let dir: string;
const opened: StateStore[] = [];

async function open(options: Parameters<typeof openStateStore>[1] = {}): Promise<StateStore> {
  const store = await openStateStore(dir, options);
  opened.push(store);
  return store;
}

async function reopen(store: StateStore): Promise<StateStore> {
  await store.close();
  opened.splice(opened.indexOf(store), 1);
  return open();
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-store-"));
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await rm(dir, { recursive: true });
});

const intent = {
  object: "EvalRun/a/b",
  effect: "evaluate",
  inputDigest: "d1",
  attempt: 1,
  input: { cases: 3 },
};

describe("intent log", () => {
  test("keeps of one effect what ended last, and all that has not ended", async () => {
    const { intents } = await open();
    const waiting = await intents.begin(intent);
    const other = await intents.begin({ ...intent, effect: "fetch" });
    await intents.finish(other.id, { output: null });
    for (let round = 0; round < 210; round++) {
      const { id } = await intents.begin({ ...intent, inputDigest: `round-${round}` });
      await intents.finish(id, { output: round });
    }
    const known = (digest: string) => intents.latest(intent.object, intent.effect, digest)?.output;
    expect([known("round-9"), known("round-10"), known("round-209")]).toEqual([undefined, 10, 209]);
    expect(intents.unfinished().map(({ id }) => id)).toEqual([waiting.id]);
    expect(intents.latest(intent.object, "fetch", "d1")?.output).toBeNull();
  });

  test("keeps what ended well last, however often it failed since", async () => {
    const { intents } = await open();
    const good = await intents.begin(intent);
    await intents.finish(good.id, { output: "read" });
    for (let attempt = 2; attempt < 210; attempt++) {
      const { id } = await intents.begin({ ...intent, inputDigest: "later", attempt });
      await intents.finish(id, { error: { code: "SourceUnavailable", message: "away", retryable: true } });
    }
    expect(intents.latest(intent.object, intent.effect, intent.inputDigest)?.output).toBe("read");
    expect(intents.lastSucceeded(intent.object, intent.effect)?.output).toBe("read");
    expect(intents.latest(intent.object, intent.effect, "later")?.attempt).toBe(209);
  });

  test("returns the unfinished intent instead of a second one", async () => {
    const { intents } = await open({ now: () => 7 });
    const first = await intents.begin(intent);
    expect(first).toEqual({ id: first.id, ...intent, startedAt: 7 });
    expect((await intents.begin(intent)).id).toBe(first.id);
    expect(intents.unfinished()).toHaveLength(1);
  });

  test("keeps the first outcome and survives being closed", async () => {
    const store = await open();
    const { id } = await store.intents.begin(intent);
    await store.intents.finish(id, { output: { verdict: "passed" } });
    await store.intents.finish(id, { error: { code: "Late", message: "", retryable: true } });
    const again = await reopen(store);
    const found = again.intents.latest("EvalRun/a/b", "evaluate", "d1");
    expect(found).toMatchObject({ output: { verdict: "passed" }, attempt: 1 });
    expect(found?.error).toBeUndefined();
    expect(found?.finishedAt).toBeTypeOf("number");
    expect(again.intents.unfinished()).toEqual([]);
  });

  test("latest is the greatest attempt, whatever the order of writing", async () => {
    const { intents } = await open();
    await intents.begin({ ...intent, attempt: 10 });
    await intents.begin({ ...intent, attempt: 9 });
    expect(intents.latest("EvalRun/a/b", "evaluate", "d1")?.attempt).toBe(10);
    expect(intents.latest("EvalRun/a/b", "evaluate", "d2")).toBeUndefined();
  });

  test("finds what ended well last, whatever its input, and nothing that failed or belongs to another", async () => {
    let time = 0;
    const { intents } = await open({ now: () => time++ });
    const found = () => intents.lastSucceeded(intent.object, intent.effect)?.output;
    const end = async (more: object, outcome: Parameters<typeof intents.finish>[1]) =>
      intents.finish((await intents.begin({ ...intent, ...more })).id, outcome);
    const slow = await intents.begin({ ...intent, inputDigest: "slow" });
    await end({}, { output: "first" });
    await end({ inputDigest: "d2" }, { error: { code: "Gone", message: "", retryable: true } });
    await end({ object: "EvalRun/a/c" }, { output: "another's" });
    await end({ effect: "fetch" }, { output: "another effect's" });
    expect(found()).toBe("first");
    await intents.finish(slow.id, { output: "begun first, ended last" });
    expect(found()).toBe("begun first, ended last");
    expect(intents.lastSucceeded("EvalRun/a/none", intent.effect)).toBeUndefined();
  });

  test("forgets one object only, and a late outcome of it is no error", async () => {
    const { intents } = await open();
    const gone = await intents.begin(intent);
    await intents.begin({ ...intent, object: "EvalRun/a/c" });
    await intents.forget("EvalRun/a/b");
    await intents.finish(gone.id, { output: null });
    expect(intents.unfinished().map((each) => each.object)).toEqual(["EvalRun/a/c"]);
  });

  test("a cancelled attempt has no outcome and can be opened again", async () => {
    const { intents } = await open();
    const first = await intents.begin(intent);
    await intents.finish(first.id, { error: { code: "Early", message: "", retryable: true } });
    const second = await intents.begin({ ...intent, attempt: 2 });
    await intents.finish(second.id, { error: { code: CANCELLED, message: "", retryable: true } });
    expect(intents.latest("EvalRun/a/b", "evaluate", "d1")).toMatchObject({
      attempt: 1,
      error: { code: "Early" },
    });
    const again = await intents.begin({ ...intent, attempt: 2 });
    expect(again).toEqual(second);
    expect(intents.unfinished("EvalRun/a/b")).toEqual([again]);
    expect(intents.unfinished("EvalRun/a/c")).toEqual([]);
    expect(intents.objects()).toEqual(["EvalRun/a/b"]);
  });

  test("names the site of each write to the hook", async () => {
    const sites: string[] = [];
    const { intents, applied, results } = await open({
      onWrite: (site, phase) => sites.push(`${phase} ${site}`),
    });
    const { id } = await intents.begin(intent);
    await intents.finish(id, { output: 1 });
    await applied.set("x", { uid: "u", specDigest: "s", fieldsHash: "f" });
    await results.put("t", "grade", "k", 1);
    expect(sites).toEqual([
      "before intent/begin/EvalRun.evaluate",
      "after intent/begin/EvalRun.evaluate",
      "before intent/finish/EvalRun.evaluate",
      "after intent/finish/EvalRun.evaluate",
      "before applied/set",
      "after applied/set",
      "before result/grade",
      "after result/grade",
    ]);
  });
});

describe("results and applied records", () => {
  test("results are apart per tenant and bucket, and age", async () => {
    let at = 1000;
    const { results } = await open({ now: () => at });
    await results.put("a", "generation", "k", { text: "x" });
    expect(results.get("a", "generation", "k")).toEqual({ text: "x" });
    expect(results.get("b", "generation", "k")).toBeUndefined();
    expect(results.get("a", "grade", "k")).toBeUndefined();
    at = 1500;
    expect(results.get("a", "generation", "k", 500)).toEqual({ text: "x" });
    expect(results.get("a", "generation", "k", 499)).toBeUndefined();
    await results.put("a", "generation", "k", null);
    expect(results.get("a", "generation", "k", 0)).toBeNull();
  });

  test("applied records are replaced, found again and deleted", async () => {
    const store = await open();
    await store.applied.set("a/b//ConfigMap", { uid: "1", specDigest: "s", fieldsHash: "f" });
    await store.applied.set("a/b//ConfigMap", { uid: "2", specDigest: "s", fieldsHash: "f" });
    const again = await reopen(store);
    expect(again.applied.get("a/b//ConfigMap")?.uid).toBe("2");
    await again.applied.delete("a/b//ConfigMap");
    expect(again.applied.get("a/b//ConfigMap")).toBeUndefined();
  });
});

describe("blobs", () => {
  test("one that is damaged is set aside when it is checked, and stored again by the next put", async () => {
    const { blobs } = await open();
    const digest = await blobs.put("hello");
    await blobs.check(digest);
    await writeFile(await blobs.locate(digest), "hullo");
    await expect(blobs.check(digest)).rejects.toMatchObject({ code: "BlobCorrupt" });
    expect(await blobs.has(digest)).toBe(false);
    await blobs.check(digest);
    await blobs.put("hello");
    await blobs.check(digest);
    expect(Buffer.from(await blobs.get(digest)).toString()).toBe("hello");
  });

  test("are files named by their digest, read back whole", async () => {
    const { blobs } = await open();
    const digest = await blobs.put("hello");
    expect(digest).toBe("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    const path = join(dir, "blobs/sha256/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    expect(await readFile(path, "utf8")).toBe("hello");
    expect(Buffer.from(await blobs.get(digest)).toString()).toBe("hello");
    expect(await blobs.put(Buffer.from("hello"))).toBe(digest);
    expect(await blobs.has(digest)).toBe(true);
    expect(await readdir(join(dir, "blobs/incoming"))).toEqual([]);
  });

  test("many writers of the same content do not disturb each other", async () => {
    const { blobs } = await open();
    const digests = await Promise.all(Array.from({ length: 20 }, () => blobs.put("same")));
    expect(new Set(digests).size).toBe(1);
    expect(Buffer.from(await blobs.get(digests[0]!)).toString()).toBe("same");
  });

  test("a damaged file is refused, set aside, and repaired by the next put", async () => {
    const { blobs } = await open();
    const digest = await blobs.put("hello");
    const hex = digest.slice(7);
    await writeFile(join(dir, "blobs/sha256", hex.slice(0, 2), hex.slice(2)), "jello");
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: "BlobCorrupt" });
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: "BlobNotFound" });
    await blobs.put("hello");
    expect(Buffer.from(await blobs.get(digest)).toString()).toBe("hello");
  });

  test.each(["sha256:../../../etc/passwd", "abc", "sha256:AB"])("%s is no digest", async (digest) => {
    const { blobs } = await open();
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: "BlobNotFound" });
  });
});

describe("the folder", () => {
  test("is refused to a second opener and free after close", async () => {
    const store = await open();
    await expect(openStateStore(dir)).rejects.toMatchObject({
      code: "StateInUse",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await reopen(store);
  });

  test("is taken over from a killed process with what that wrote", async () => {
    const script = `
      import { openStateStore } from ${JSON.stringify(new URL("./open.ts", import.meta.url).href)};
      const store = await openStateStore(${JSON.stringify(dir)});
      await store.intents.begin(${JSON.stringify(intent)});
      console.log("written");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await expect(openStateStore(dir)).rejects.toMatchObject({
      code: "StateInUse",
      message: expect.stringContaining(`process ${child.pid}`),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await open();
    expect(store.intents.unfinished()).toMatchObject([intent]);
  });

  test("of a later release is refused, and a migration runs once", () => {
    const path = join(dir, "other.db");
    const steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
    openDatabase(path, steps.slice(0, 1)).close();
    openDatabase(path, steps).close();
    const db = openDatabase(path, steps);
    expect(db.prepare("SELECT x, y FROM a").all()).toEqual([]);
    db.close();
    expect(() => openDatabase(path, steps.slice(0, 1))).toThrow(
      expect.objectContaining({ code: "StateTooNew" }),
    );
  });

  test("a migration that fails leaves the former schema", () => {
    const path = join(dir, "other.db");
    expect(() => openDatabase(path, ["CREATE TABLE a (x); CREATE TABLE a (x)"])).toThrow(/already exists/);
    const db = openDatabase(path, ["CREATE TABLE a (x)"]);
    expect(db.prepare("SELECT x FROM a").all()).toEqual([]);
    db.close();
  });
});
