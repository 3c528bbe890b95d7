import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { withLock } from "./lock.ts";
import { cacheRoot } from "./paths.ts";
import { stopDaemons } from "./process.ts";
import type { Report } from "./progress.ts";

/** Something made once and then used by every run: programs of one version for one platform. */
export interface Artifact {
  readonly name: string;
  readonly version: string;
  /** Digest of what it is built from, so that a changed recipe makes a new artifact. */
  readonly inputs: string;
}

export interface CacheOptions {
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
  /** Cache folder; `SLIPWAY_CACHE_DIR` or the XDG cache folder unless given. */
  readonly root?: string | undefined;
}

/** `<cache>/<name>-<version>-<platform>-<inputs>`, whether it exists or not. */
export function artifactPath(artifact: Artifact, root: string = cacheRoot()): string {
  const { name, version, inputs } = artifact;
  return join(root, `${name}-${version}-${process.platform}-${process.arch}-${inputs.slice(0, 12)}`);
}

/**
 * The folder of an artifact; `make` fills it when it is missing. It is made aside and renamed, so a
 * folder that exists is complete. Of two runs at once the second waits for the first; what a run that
 * died has left half-made is removed.
 */
export async function cached(
  artifact: Artifact,
  options: CacheOptions,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const root = options.root ?? cacheRoot();
  const path = artifactPath(artifact, root);
  if (await exists(path)) return path;
  const subject = `${artifact.name} ${artifact.version}`;
  await withLock(`${path}.lock`, { ...options, subject }, async () => {
    if (await exists(path)) return;
    await removeDrafts(root, path);
    const draft = `${path}.draft-${randomUUID()}`;
    await mkdir(draft, { recursive: true, mode: 0o700 });
    try {
      await make(draft);
      options.signal?.throwIfAborted();
      await rename(draft, path);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  });
  return path;
}

/** SHA-256 (hex) over the names and contents of files, for {@link Artifact.inputs}. */
export async function digestFiles(paths: readonly string[], ...more: string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    const content = await readFile(path);
    hash.update(`${path.slice(path.lastIndexOf("/") + 1)}\0${content.length}\0`).update(content);
  }
  for (const text of more) hash.update(`\0${text}`);
  return hash.digest("hex");
}

async function removeDrafts(root: string, path: string): Promise<void> {
  for (const entry of await readdir(root)) {
    const candidate = join(root, entry);
    if (!candidate.startsWith(`${path}.draft-`)) continue;
    // Compilers that outlived the run that started them.
    await stopDaemons(candidate);
    await rm(candidate, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
