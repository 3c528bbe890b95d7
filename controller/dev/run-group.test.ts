import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findOwned } from "./process-table.ts";
import { runGroup } from "./run-group.ts";

let owner: string;
beforeEach(async () => {
  owner = await mkdtemp(join(tmpdir(), "slipway-group-"));
});
afterEach(() => rm(owner, { recursive: true }));

test("what it prints comes line by line, and its status is answered", async () => {
  const lines: string[] = [];
  const onLine = (line: string) => lines.push(line);
  const script = "echo out; echo $WORD >&2; exit 3";
  expect(await runGroup("sh", ["-c", script], { owner, env: { WORD: "err" }, onLine })).toBe(3);
  expect(lines.sort()).toEqual(["err", "out"]);
});

test("an abort ends what the program has started too, before it is told", async () => {
  const controller = new AbortController();
  const onLine = () => controller.abort(new Error("enough"));
  const script = "(trap 'sleep 0.2; exit' TERM; echo started; while :; do sleep 0.1; done) & wait";
  const ran = runGroup("sh", ["-c", script], { owner, onLine, signal: controller.signal });
  await expect(ran).rejects.toThrow("enough");
  expect(await findOwned(owner)).toEqual([]);
});

test("a program that is not there is an error", async () => {
  await expect(runGroup(join(owner, "nothing"), [], { owner, onLine: () => {} })).rejects.toThrow("ENOENT");
});
