import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Repository } from "../../schemas/repository.ts";
import { RepositorySources } from "./sources.ts";

const REPOSITORY = {
  metadata: { name: "app", namespace: "team", uid: "u" },
  spec: { url: "https://git.example.com/a.git", serviceAccountName: "deployer" },
} as Repository;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-sources-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const processOf = () => new RepositorySources(folder, undefined as never);

it("opens one mirror for many at once", async () => {
  const sources = processOf();
  await Promise.all(Array.from({ length: 5 }, () => sources.mirror(REPOSITORY)));
  expect(readdirSync(folder)).toHaveLength(1);
});

it("removes the locks of an earlier process, and none of its own", async () => {
  await processOf().mirror(REPOSITORY);
  const lock = join(folder, readdirSync(folder)[0] ?? "", "packed-refs.lock");
  writeFileSync(lock, "");
  const sources = processOf();
  await sources.mirror(REPOSITORY);
  expect(existsSync(lock)).toBe(false);
  writeFileSync(lock, "");
  await sources.mirror(REPOSITORY);
  expect(existsSync(lock)).toBe(true);
});
