import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { SlipwayError } from "../../errors.ts";

/** @throws SlipwayError NotAClone where the sources are missing: an installed package has the program alone */
export function cloneRoot(): string {
  const root = join(import.meta.dirname, "..", "..", "..");
  if (existsSync(join(root, "tsconfig.build.json"))) return root;
  throw new SlipwayError("NotAClone", "images are made from a clone of the repository", {
    hint: "clone it and run npm ci in it",
  });
}

/** Every file of folders and files of the clone, without tests, in an order of their own. */
export async function filesBelow(root: string, paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const entries = await readdir(join(root, path), { recursive: true, withFileTypes: true }).catch(
      () => undefined,
    );
    if (!entries) found.push(join(root, path));
    for (const entry of entries ?? []) {
      const isSource = !entry.name.endsWith(".test.ts") && !entry.name.endsWith(".pyc");
      if (entry.isFile() && isSource) found.push(join(entry.parentPath, entry.name));
    }
  }
  return found.sort((a, b) => (relative(root, a) < relative(root, b) ? -1 : 1));
}
