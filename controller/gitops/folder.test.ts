import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { folderSource } from "./folder.ts";

// Many processes or much text: a busy machine needs longer than the default.
vi.setConfig({ testTimeout: 60_000 });

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-folder-"));
  for (const folder of ["repo/b", "repo/.git", "repo/node_modules/x", "outside"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const file of [
    "repo/a.yaml",
    "repo/b/c.yaml",
    "repo/.git/config",
    "repo/node_modules/x/y.yaml",
    "outside/secret",
  ]) {
    writeFileSync(join(root, file), file);
  }
  symlinkSync(join(root, "outside/secret"), join(root, "repo/link.yaml"));
  symlinkSync(join(root, "outside"), join(root, "repo/linked"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

it("reads a folder as a commit: no symlinks but marked ones, nothing of git's or npm's", async () => {
  const source = folderSource(join(root, "repo"));
  const all = await source.list();
  expect(all.filter(({ link }) => link)).toEqual([
    { path: "link.yaml", id: "link.yaml", size: 0, link: true },
  ]);
  const entries = all.filter(({ link }) => !link);
  expect(entries).toEqual([
    { path: "a.yaml", id: "a.yaml", size: 11 },
    { path: "b/c.yaml", id: "b/c.yaml", size: 13 },
  ]);
  const read = await source.read(entries);
  expect([...read].map(([id, data]) => [id, Buffer.from(data).toString()])).toEqual([
    ["a.yaml", "repo/a.yaml"],
    ["b/c.yaml", "repo/b/c.yaml"],
  ]);
});

it("reads more files than a process may have open", async () => {
  const many = join(root, "many");
  mkdirSync(many);
  for (let i = 0; i < 1500; i += 1) writeFileSync(join(many, `${i}.yaml`), "x");
  const source = folderSource(many);
  expect((await source.read(await source.list())).size).toBe(1500);
});
