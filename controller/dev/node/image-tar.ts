import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
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
    const digests = await layerDigests(spec);
    const config = configOf(spec, digests);
    const configName = `${sha256(config)}.json`;
    await writeFile(join(folder, configName), config);
    const layers = digests.map((digest) => `${digest}.tar`);
    const manifest = [{ Config: configName, RepoTags: [spec.name], Layers: layers }];
    await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
    // As links, so that gigabytes are not copied before they are copied.
    for (const [i, layer] of spec.layers.entries()) await run("ln", ["-sf", layer, join(folder, layers[i]!)]);
    await tar(file, folder, ["--dereference", "manifest.json", configName, ...new Set(layers)]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The same as an OCI layout that leaves the layers out: for a runtime which has them already.
 * Format: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */
export async function writeImageWithoutLayers(file: string, spec: ImageSpec): Promise<void> {
  const folder = await mkdtemp(join(dirname(file), ".image-"));
  try {
    const blobs = join("blobs", "sha256");
    await mkdir(join(folder, blobs), { recursive: true });
    const blob = async (mediaType: string, text: string) => {
      await writeFile(join(folder, blobs, sha256(text)), text);
      return { mediaType, digest: `sha256:${sha256(text)}`, size: Buffer.byteLength(text) };
    };
    const digests = await layerDigests(spec);
    const layers = await Promise.all(
      spec.layers.map(async (layer, i) => ({
        mediaType: `${OCI}.layer.v1.tar`,
        digest: `sha256:${digests[i]}`,
        size: (await stat(layer)).size,
      })),
    );
    const config = await blob(`${OCI}.config.v1+json`, configOf(spec, digests));
    const mediaType = `${OCI}.manifest.v1+json`;
    const manifest = await blob(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
    const annotations = { "io.containerd.image.name": spec.name };
    const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
    await writeFile(join(folder, "index.json"), JSON.stringify(index));
    await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await tar(file, folder, ["oci-layout", "index.json", "blobs"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const OCI = "application/vnd.oci.image";

/** Digests of layers, the lowest first: how a runtime knows them. */
export function layerDigests({ layers }: ImageSpec): Promise<string[]> {
  return Promise.all(layers.map(digestOfLayer));
}

/** What runtimes know an image by, and a pod's status names it by: the digest of its config. */
export async function imageID(spec: ImageSpec): Promise<string> {
  return `sha256:${sha256(configOf(spec, await layerDigests(spec)))}`;
}

/** Bytes of its layers, not compressed. */
export async function imageSize({ layers }: ImageSpec): Promise<number> {
  const stats = await Promise.all(layers.map((layer) => stat(layer)));
  return stats.reduce((sum, { size }) => sum + size, 0);
}

function configOf(spec: ImageSpec, digests: readonly string[]): string {
  return JSON.stringify({
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
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A layer of everything in a folder: sorted, without times, owners and the umask of this machine. */
export async function writeLayer(file: string, folder: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const owners = `${file}.owners`;
  await writeFile(owners, `+${IMAGE_USER} +${IMAGE_USER}\n`);
  try {
    await tar(file, folder, [`--owner-map=${owners}`, `--group-map=${owners}`, "--mode=go+rX", "."]);
  } finally {
    await rm(owners);
  }
}

/** The user of our images keeps what is made over to it (images/slipway/stage.sh); all else is root's. */
const IMAGE_USER = 65532;

/** The file appears complete, or not at all. */
async function tar(file: string, folder: string, args: readonly string[]): Promise<void> {
  const draft = `${file}.draft`;
  try {
    await run("tar", ["-C", folder, ...SAME, "-cf", draft, ...args]);
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}

/** What makes the same files the same bytes. */
const SAME = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

/** A layer's digest, kept beside it: gigabytes take seconds to read. */
async function digestOfLayer(path: string): Promise<string> {
  const known = await readFile(`${path}.sha256`, "utf8").catch(() => undefined);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Keeps the digest of a layer that does not change any more. */
export async function keepLayerDigest(path: string): Promise<void> {
  await writeFile(`${path}.sha256`, await digestOfLayer(path));
}
