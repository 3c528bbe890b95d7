import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { start, write } from "../../integration/cli/slipway.ts";

/** The digest that a Dataset of these files comes to where nothing but this machine prepares it. */
export async function digestOnLaptop(
  stateDir: string,
  files: Readonly<Record<string, string>>,
  name: string,
): Promise<string> {
  const folder = await mkdtemp(join(stateDir, "laptop-"));
  const clone = join(folder, "clone");
  await write(clone, files);
  const json = join(folder, "prepared.json");
  const args = ["data", "prepare", name, "--file", clone, "--json", json];
  const { code, stderr } = await start(args, join(folder, "cache")).ended;
  if (code !== 0) throw new Error(`slipway ${args.join(" ")} ended with status ${code}: ${stderr}`);
  const { artifact } = JSON.parse(await readFile(json, "utf8")) as { artifact: { digest: string } };
  return artifact.digest;
}
