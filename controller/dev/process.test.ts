import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SlipwayError } from "../errors.ts";
import { logPath, recordedDaemons, startDaemon, stopDaemons, waitReady, withFreePort } from "./process.ts";
import { findOwned, identify, isAlive, parseStat } from "./process-table.ts";
import { silent } from "./progress.ts";

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "slipway-process-")));
});
afterEach(async () => {
  await stopDaemons(folder);
  await rm(folder, { recursive: true, force: true });
});

function start(name: string, script: string) {
  return startDaemon({ folder, name, program: process.execPath, args: ["-e", script] });
}
const FOREVER = "setInterval(() => {}, 1000)";

test("a daemon is recorded, logs to its file and is stopped", async () => {
  const daemon = await start("one", `console.log("hello"); ${FOREVER}`);
  expect(await recordedDaemons(folder)).toEqual([daemon]);
  expect(await isAlive(daemon)).toBe(true);
  const logged = async () => (await readFile(logPath(folder, "one"), "utf8")) === "hello\n";
  await waitReady("one", { daemons: [daemon], folder, timeoutMs: 10_000, report: silent }, logged);
  await stopDaemons(folder);
  expect(await isAlive(daemon)).toBe(false);
});

test("one that ignores SIGTERM is killed", async () => {
  const daemon = await start("deaf", `process.on("SIGTERM", () => {}); console.log("set"); ${FOREVER}`);
  const logged = async () => (await readFile(logPath(folder, "deaf"), "utf8")) === "set\n";
  await waitReady("deaf", { daemons: [daemon], folder, timeoutMs: 10_000, report: silent }, logged);
  await stopDaemons(folder);
  expect(await isAlive(daemon)).toBe(false);
}, 15_000);

test("a recorded number that another process has now is left alone", async () => {
  const other = spawn(process.execPath, ["-e", FOREVER]);
  try {
    const daemon = { name: "old", pid: other.pid ?? 0, startTime: "1" };
    await mkdir(join(folder, "processes"));
    await writeFile(join(folder, "processes", "old.json"), JSON.stringify(daemon));
    await stopDaemons(folder);
    expect(await identify(other.pid ?? 0)).toBeDefined();
  } finally {
    other.kill("SIGKILL");
  }
});

describe.runIf(process.platform === "linux")("on Linux", () => {
  test("unrecorded processes and children of processes are found by their mark and stopped", async () => {
    const daemon = await start("parent", `require("child_process").spawn("sleep", ["300"]); ${FOREVER}`);
    await rm(join(folder, "processes"), { recursive: true });
    const both = async () => (await findOwned(folder)).length === 2;
    await waitReady("both", { daemons: [daemon], folder, timeoutMs: 10_000, report: silent }, both);
    await stopDaemons(folder);
    expect(await findOwned(folder)).toEqual([]);
  });

  test("the mark of a folder whose path only begins the same is not ours", async () => {
    await start("one", FOREVER);
    expect(await findOwned(folder.slice(0, -1))).toEqual([]);
  });
});

test("a process that ends early is an error with the end of its log", async () => {
  const daemon = await start("brief", `console.error("bad flag"); setTimeout(() => process.exit(1), 100)`);
  const ready = { daemons: [daemon], folder, timeoutMs: 10_000, report: silent };
  await expect(waitReady("brief", ready, async () => false)).rejects.toMatchObject({
    code: "ProcessExited",
    message: expect.stringContaining("bad flag"),
  });
});

test("a process that never becomes ready is an error after the time given", async () => {
  const daemon = await start("slow", FOREVER);
  const ready = { daemons: [daemon], folder, timeoutMs: 200, report: silent };
  await expect(waitReady("slow", ready, async () => false)).rejects.toMatchObject({ code: "NotReady" });
});

test("a program that does not exist is an error", async () => {
  const starting = startDaemon({ folder, name: "none", program: join(folder, "none"), args: [] });
  await expect(starting).rejects.toMatchObject({ code: "ProcessNotStarted" });
});

test("a port that was taken meanwhile is replaced by another", async () => {
  const ports: number[] = [];
  const server = await withFreePort(async (port) => {
    ports.push(port);
    if (ports.length === 1) throw new SlipwayError("ProcessExited", "listen: address already in use");
    return createServer().listen(port, "127.0.0.1");
  });
  server.close();
  expect(ports).toHaveLength(2);
});

test("proc's stat is read past a command name with parentheses; a zombie has ended", () => {
  const fields = (state: string) => [state, ...Array.from({ length: 30 }, (_, i) => String(i + 4))].join(" ");
  expect(parseStat(`7 (a) b (c)) ${fields("S")}`)).toBe("22");
  expect(parseStat(`7 (a) ${fields("Z")}`)).toBeUndefined();
});
