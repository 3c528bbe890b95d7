import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** Of the repository. */
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Difference {
  /** Path from the root, with `/`. */
  readonly path: string;
  readonly problem: "missing" | "differs" | "stale";
}

/** What is wrong in the folders: files missing, of other content, or that nothing generates any more. */
export async function compareFiles(
  root: string,
  files: ReadonlyMap<string, string>,
  folders: readonly string[],
): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const [path, content] of files) {
    const found = await readIfPresent(join(root, path));
    if (found === undefined) differences.push({ path, problem: "missing" });
    else if (found !== content) differences.push({ path, problem: "differs" });
  }
  for (const folder of folders) {
    for (const name of await listIfPresent(join(root, folder))) {
      const path = `${folder}/${name}`;
      if (!files.has(path)) differences.push({ path, problem: "stale" });
    }
  }
  return differences.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Writes what {@link compareFiles} found missing or different, and removes what is stale. */
export async function repairFiles(
  root: string,
  files: ReadonlyMap<string, string>,
  differences: readonly Difference[],
): Promise<void> {
  for (const { path, problem } of differences) {
    const target = join(root, path);
    if (problem === "stale") {
      await rm(target, { recursive: true });
      continue;
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, files.get(path) ?? "");
  }
}

/**
 * What a program that generates files does at its end: it writes them, or with `--check` only says what differs, and
 * fails if anything does.
 */
export async function writeOrCheck(
  files: ReadonlyMap<string, string>,
  folders: readonly string[],
): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
  const differences = await compareFiles(ROOT, files, folders);
  if (values.check) {
    for (const { path, problem } of differences) console.error(`${path}: ${problem}`);
    if (differences.length === 0) return;
    console.error("Generated files are not those of their source: run `npm run generate` and commit them.");
    process.exitCode = 1;
    return;
  }
  await repairFiles(ROOT, files, differences);
  for (const { path, problem } of differences) console.log(problem === "stale" ? `${path}: removed` : path);
  console.log(`${differences.length} of ${files.size} generated files changed`);
}

async function readIfPresent(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(undefinedIfMissing);
}

async function listIfPresent(path: string): Promise<string[]> {
  return (await readdir(path).catch(undefinedIfMissing)) ?? [];
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
