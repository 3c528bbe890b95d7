import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const BIN = join(import.meta.dirname, "..", "..", "..", "bin", "slipway.js");

/** The digest that a Dataset of these files comes to where nothing but this machine prepares it. */
export async function digestOnLaptop(
  stateDir: string,
  files: Readonly<Record<string, string>>,
  name: string,
): Promise<string> {
  const folder = await mkdtemp(join(stateDir, "laptop-"));
  const clone = join(folder, "clone");
  await mkdir(clone);
  for (const [path, content] of Object.entries(files)) await writeFile(join(clone, path), content);
  const json = join(folder, "prepared.json");
  await promisify(execFile)(
    process.execPath,
    [BIN, "data", "prepare", name, "--file", clone, "--json", json],
    { env: { ...process.env, SLIPWAY_CACHE_DIR: join(folder, "cache") } },
  );
  const { artifact } = JSON.parse(await readFile(json, "utf8")) as { artifact: { digest: string } };
  return artifact.digest;
}
