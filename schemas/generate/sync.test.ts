import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KINDS } from "../index.ts";
import { GENERATED_FOLDERS, generatedFiles } from "./outputs.ts";
import { compareFiles, repairFiles } from "./sync.ts";

describe("compareFiles and repairFiles", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "slipway-generate-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  const files = new Map([
    ["out/a.txt", "a"],
    ["out/b.txt", "b"],
  ]);

  it("finds all missing before the first run, and nothing after it", async () => {
    const before = await compareFiles(root, files, ["out"]);
    expect(before).toEqual([
      { path: "out/a.txt", problem: "missing" },
      { path: "out/b.txt", problem: "missing" },
    ]);
    await repairFiles(root, files, before);
    expect(await compareFiles(root, files, ["out"])).toEqual([]);
  });

  it("names and repairs what was edited, and removes what nothing generates", async () => {
    await repairFiles(root, files, await compareFiles(root, files, ["out"]));
    await writeFile(join(root, "out/a.txt"), "edited");
    await writeFile(join(root, "out/old.txt"), "");

    const found = await compareFiles(root, files, ["out"]);
    expect(found).toEqual([
      { path: "out/a.txt", problem: "differs" },
      { path: "out/old.txt", problem: "stale" },
    ]);
    await repairFiles(root, files, found);
    expect(await readdir(join(root, "out"))).toEqual(["a.txt", "b.txt"]);
    expect(await readFile(join(root, "out/a.txt"), "utf8")).toBe("a");
  });
});

describe("generatedFiles", () => {
  it("is the same every time", () => {
    expect([...generatedFiles(KINDS)]).toEqual([...generatedFiles(KINDS)]);
  });

  it("is what is committed", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    expect(await compareFiles(root, generatedFiles(KINDS), GENERATED_FOLDERS)).toEqual([]);
  });

  it("offers editors only what may be written to git", () => {
    const files = generatedFiles(KINDS);
    expect([...files.keys()]).toContain("crds/slipway.dev_evalruns.yaml");
    expect([...files.keys()]).not.toContain("schemas/json/eval-run.json");
    expect(files.get("schemas/json/all.json")).not.toContain("EvalRun");
  });
});
