import { formatLocation, SlipwayError } from "../../errors.ts";
import { folderSource } from "../../gitops/folder.ts";
import { openLocalRepository } from "../../gitops/git.ts";
import { loadSnapshot, type Snapshot } from "../../gitops/snapshot.ts";

/**
 * The manifests of a folder as it is, or as a commit has it.
 * @throws SlipwayError InvalidManifests, after the errors were printed
 */
export async function snapshotOf(folder: string, ref?: string): Promise<Snapshot> {
  const snapshot = ref === undefined ? await loadSnapshot(folderSource(folder), "") : await at(folder, ref);
  for (const error of snapshot.errors) console.error(`${formatLocation(error.location)}: ${error.message}`);
  if (snapshot.errors.length > 0) {
    throw new SlipwayError("InvalidManifests", `${snapshot.errors.length} errors in the manifests`, {
      hint: "slipway validate shows them",
    });
  }
  return snapshot;
}

async function at(folder: string, ref: string): Promise<Snapshot> {
  const { mirror, path } = await openLocalRepository(folder);
  return loadSnapshot(mirror.at(await mirror.resolve(ref), path), path);
}
