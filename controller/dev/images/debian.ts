import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { requireSystemFiles, type SystemNeeds } from "../apt.ts";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import { keepLayerDigest } from "../node/image-tar.ts";
import { runStep } from "./run-step.ts";

export const DEBIAN = "bookworm";

const MMDEBSTRAP: SystemNeeds = {
  files: [["/usr/bin/mmdebstrap", "mmdebstrap"]],
  code: "ImageFailed",
  otherwise: "build images/*/Dockerfile with Docker",
};

/**
 * A Debian root as an image's lowest layer, made from Debian's packages without a registry or a container engine.
 * @param packages file with one package a line, shared with the Dockerfile
 * @returns the layer, a tar
 */
export async function debianLayer(packages: string, options: CacheOptions): Promise<string> {
  await requireSystemFiles(MMDEBSTRAP, options);
  const inputs = await digestFiles([packages], DEBIAN, ...FLAGS);
  const names = (await readFile(packages, "utf8")).split("\n").filter((line) => line.trim() !== "");
  const folder = await cached({ name: "debian", version: DEBIAN, inputs }, options, async (draft) => {
    options.report(`making a Debian root with ${names.length} packages`);
    const args = [...FLAGS, `--include=${names.join(",")}`, DEBIAN, join(draft, "layer.tar")];
    await runStep("mmdebstrap", args, {
      failed: "the Debian root could not be made",
      hint: "it needs deb.debian.org",
      env: { SOURCE_DATE_EPOCH: "0" },
      owner: draft,
      signal: options.signal,
    });
    await keepLayerDigest(join(draft, "layer.tar"));
  });
  return join(folder, "layer.tar");
}

const FLAGS = [
  "--variant=minbase",
  '--aptopt=APT::Install-Recommends "false"',
  "--dpkgopt=path-exclude=/usr/share/doc/*",
  "--dpkgopt=path-exclude=/usr/share/man/*",
  "--dpkgopt=path-exclude=/usr/share/locale/*",
];
