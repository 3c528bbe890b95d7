import { lstat, readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { SlipwayError } from "../errors.ts";
import { isManifestName, LIMITS, type Source, type SourceEntry } from "./source.ts";

const SKIPPED = new Set([".git", "node_modules"]);

/** A folder on disk, read like a commit: symlinks are left out, or marked. */
export function folderSource(root: string): Source {
  return {
    async list() {
      const entries: SourceEntry[] = [];
      const walk = async (folder: string): Promise<void> => {
        for (const item of await readdir(folder, { withFileTypes: true })) {
          const path = join(folder, item.name);
          const id = relative(root, path).split(sep).join("/");
          if (item.isDirectory()) {
            if (!SKIPPED.has(item.name)) await walk(path);
          } else if (item.isSymbolicLink()) {
            if (isManifestName(id)) entries.push({ path: id, id, size: 0, link: true });
          } else if (item.isFile()) {
            entries.push({ path: id, id, size: (await lstat(path)).size });
            if (entries.length > LIMITS.entries) {
              throw new SlipwayError("RepositoryTooLarge", `${root} has more than ${LIMITS.entries} files`);
            }
          }
        }
      };
      await walk(root);
      return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    async read(entries) {
      const contents = new Map<string, Uint8Array>();
      // One after the other: thousands of files open at once are more than a process may have.
      for (const { id } of entries) contents.set(id, await readFile(join(root, id)));
      return contents;
    },
  };
}
