import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import { type ImageSpec, keepLayerDigest, writeLayer } from "../node/image-tar.ts";
import { cloneRoot, filesBelow } from "./clone.ts";
import { debianLayer } from "./debian.ts";
import { runStep } from "./run-step.ts";

/** What the program is compiled and run from. */
const SOURCES = [
  "bin",
  "controller",
  "crds",
  "images/slipway",
  "schemas",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
];

/**
 * The image of the controller and its workers, from a clone; the same as images/slipway/Dockerfile makes. Its layers
 * stay files in the cache: `importLayers` brings them to a node.
 */
export async function controllerImage(options: CacheOptions): Promise<ImageSpec> {
  const root = cloneRoot();
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const inputs = await digestFiles(await filesBelow(root, SOURCES), process.arch);
  const base = await debianLayer(join(root, "images", "slipway", "packages.txt"), options);
  const folder = await cached({ name: "controller-image", version, inputs }, options, async (draft) => {
    const built = join(draft, "built");
    await mkdir(built);
    const step = (program: string, args: readonly string[], cwd: string, failed: string, hint?: string) =>
      runStep(program, args, { cwd, failed, ...(hint && { hint }), owner: draft, signal: options.signal });
    options.report("compiling the controller");
    const tsc = join(root, "node_modules", ".bin", "tsc");
    const compile = ["-p", "tsconfig.build.json", "--outDir", join(built, "dist")];
    await step(tsc, compile, root, "the controller could not be compiled", "run npm ci in the clone");
    for (const path of ["bin", "crds", "schemas/json", "images/slipway", "package.json", "package-lock.json"])
      await cp(join(root, path), join(built, path), { recursive: true });
    options.report("installing the controller's packages");
    const install = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
    await step("npm", install, built, "the controller's packages could not be installed");
    const stage = join(draft, "stage");
    await mkdir(stage);
    const stageScript = join(built, "images", "slipway", "stage.sh");
    await step(stageScript, [stage], built, "the controller's files could not be laid out");
    options.report("writing the controller's layer");
    await writeLayer(join(draft, "layer.tar"), stage);
    for (const part of [built, stage]) await rm(part, { recursive: true });
    await keepLayerDigest(join(draft, "layer.tar"));
  });
  await removeFormer(folder);
  return {
    name: `ghcr.io/slipway-dev/slipway:${version}`,
    layers: [base, join(folder, "layer.tar")],
    entrypoint: ["/usr/local/bin/slipway"],
    user: "65532:65532",
  };
}

/** What the cache has beside complete artifacts, of whoever makes one now. */
const IN_USE = /\.(lock|draft-)/;

/** Every change of the sources makes a layer of 200 MB: only the last one is kept. */
export async function removeFormer(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    const former = name.startsWith("controller-image-") && !IN_USE.test(name);
    if (former && name !== basename(folder))
      await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}
