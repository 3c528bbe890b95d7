import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface ImageSpec {
  /** Name and tag, as manifests write it. */
  readonly name: string;
  /** Each a tar file, not compressed; the first is the lowest. */
  readonly layers: readonly string[];
  readonly entrypoint: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  /** Of the process, `uid:gid`; root unless given. */
  readonly user?: string;
}

/**
 * Writes an image as `docker save` does (manifest.json, a config, a tar a layer), which every runtime imports. The
 * same layers make the same bytes.
 */
export async function writeImage(file: string, spec: ImageSpec): Promise<void> {
  const folder = await mkdtemp(join(dirname(file), ".image-"));
  try {
    const digests = await Promise.all(spec.layers.map(sha256OfFile));
    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: {
        Entrypoint: [...spec.entrypoint],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...(spec.env ?? [])],
        ...(spec.workingDir === undefined ? {} : { WorkingDir: spec.workingDir }),
        ...(spec.user === undefined ? {} : { User: spec.user }),
      },
      rootfs: { type: "layers", diff_ids: digests.map((digest) => `sha256:${digest}`) },
    });
    const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
    await writeFile(join(folder, configName), config);
    const layers = digests.map((digest) => `${digest}.tar`);
    const manifest = [{ Config: configName, RepoTags: [spec.name], Layers: layers }];
    await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
    // Links, so that gigabytes are not copied before they are copied.
    for (const [i, layer] of spec.layers.entries()) await run("ln", ["-sf", layer, join(folder, layers[i]!)]);
    const draft = `${file}.draft`;
    const unique = [...new Set(layers)];
    await tar(draft, folder, ["--dereference", "manifest.json", configName, ...unique]);
    await rename(draft, file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A layer of everything in a folder: sorted, without times and owners of this machine. */
export async function writeLayer(file: string, folder: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.draft`;
  await tar(draft, folder, ["."]);
  await rename(draft, file);
}

async function tar(file: string, folder: string, args: readonly string[]): Promise<void> {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
  await run("tar", ["-C", folder, ...same, "-cf", file, ...args]);
}

async function sha256OfFile(path: string): Promise<string> {
  await stat(path);
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
