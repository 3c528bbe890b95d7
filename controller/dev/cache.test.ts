import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { artifactPath, cached, digestFiles } from "./cache.ts";
import { startDaemon } from "./process.ts";
import { identify, isAlive } from "./process-table.ts";
import { silent } from "./progress.ts";

const artifact = { name: "tool", version: "1.2.3", inputs: "0123456789abcdef" };
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "slipway-cache-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("an artifact is made once and nothing else is left in the cache", async () => {
  let made = 0;
  const make = async (folder: string) => {
    made++;
    await writeFile(join(folder, "program"), "x");
  };
  const first = await cached(artifact, { report: silent, root }, make);
  const second = await cached(artifact, { report: silent, root }, make);
  expect(second).toBe(first);
  expect(made).toBe(1);
  expect(await readFile(join(first, "program"), "utf8")).toBe("x");
  expect(await readdir(root)).toHaveLength(1);
});

test("of two at once the second waits, says so and uses what the first made", async () => {
  let made = 0;
  const messages: string[] = [];
  const make = async () => {
    made++;
    await sleep(300);
  };
  const report = (message: string) => messages.push(message);
  await Promise.all([cached(artifact, { report, root }, make), cached(artifact, { report, root }, make)]);
  expect(made).toBe(1);
  expect(messages.some((m) => m.startsWith(`waiting for tool 1.2.3, in use by process ${process.pid}`))).toBe(
    true,
  );
});

test("a failed make leaves nothing and the next one succeeds", async () => {
  const failing = cached(artifact, { report: silent, root }, async (folder) => {
    await writeFile(join(folder, "half"), "");
    throw new Error("no network");
  });
  await expect(failing).rejects.toThrow("no network");
  expect(await readdir(root)).toEqual([]);
  await cached(artifact, { report: silent, root }, (folder) => writeFile(join(folder, "whole"), ""));
  expect(await readdir(artifactPath(artifact, root))).toEqual(["whole"]);
});

test.each([
  ["whose number was never used", { pid: 2 ** 30, startTime: "1" }],
  ["whose number another process has now", { pid: process.pid, startTime: "1" }],
])("the lock and the draft of a dead process %s are taken over", async (_title, dead) => {
  const path = artifactPath(artifact, root);
  await mkdir(`${path}.draft-old`);
  await writeFile(`${path}.lock`, JSON.stringify({ id: "old", host: hostname(), ...dead }));
  await cached(artifact, { report: silent, root }, async () => {});
  expect((await readdir(root)).map((entry) => join(root, entry))).toEqual([path]);
});

test.runIf(process.platform === "linux")("what a dead run was still compiling is stopped", async () => {
  const draft = `${artifactPath(artifact, root)}.draft-old`;
  await mkdir(draft);
  const args = ["-e", "setInterval(() => {}, 1000)"];
  const compiler = await startDaemon({ folder: draft, name: "compiler", program: process.execPath, args });
  await cached(artifact, { report: silent, root }, async () => {});
  expect(await isAlive(compiler)).toBe(false);
});

test("the lock of a live process is respected until the wait is aborted", async () => {
  const path = artifactPath(artifact, root);
  const self = await identify(process.pid);
  await writeFile(`${path}.lock`, JSON.stringify({ id: "other", host: hostname(), ...self }));
  const waiting = cached(
    artifact,
    { report: silent, root, signal: AbortSignal.timeout(300) },
    async () => {},
  );
  await expect(waiting).rejects.toThrow();
  expect((await readdir(root)).map((entry) => join(root, entry))).toEqual([`${path}.lock`]);
});

test("the digest of the inputs changes with a file's content and with the flags", async () => {
  const file = join(root, "go.mod");
  await writeFile(file, "module a");
  const before = await digestFiles([file], "flags");
  expect(await digestFiles([file], "flags")).toBe(before);
  expect(await digestFiles([file], "other flags")).not.toBe(before);
  await writeFile(file, "module b");
  expect(await digestFiles([file], "flags")).not.toBe(before);
});
