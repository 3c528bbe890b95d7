import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import { writeImage, writeLayer } from "../node/image-tar.ts";
import { cloneRoot, filesBelow } from "./clone.ts";
import { debianLayer } from "./debian.ts";

const run = promisify(execFile);

export interface BuiltImage {
  /** As manifests write it. */
  readonly name: string;
  /** `docker save` format. */
  readonly file: string;
}

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

/** The image of the controller and its workers, from a clone; the same as images/slipway/Dockerfile makes. */
export async function controllerImage(options: CacheOptions): Promise<BuiltImage> {
  const root = cloneRoot();
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const name = `ghcr.io/slipway-dev/slipway:${version}`;
  const inputs = await digestFiles(await filesBelow(root, SOURCES), process.arch);
  const base = await debianLayer(join(root, "images", "slipway", "packages.txt"), options);
  const folder = await cached({ name: "controller-image", version, inputs }, options, async (draft) => {
    const built = join(draft, "built");
    await mkdir(built);
    options.report("compiling the controller");
    const tsc = join(root, "node_modules", ".bin", "tsc");
    await run(tsc, ["-p", "tsconfig.build.json", "--outDir", join(built, "dist")], { cwd: root });
    for (const path of ["bin", "crds", "schemas/json", "images/slipway", "package.json", "package-lock.json"])
      await cp(join(root, path), join(built, path), { recursive: true });
    options.report("installing the controller's packages");
    await run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: built,
      maxBuffer: 16 << 20,
    });
    const stage = join(draft, "stage");
    await mkdir(stage);
    await run(join(built, "images", "slipway", "stage.sh"), [stage], { cwd: built });
    options.report("writing the controller's image");
    const layer = join(draft, "layer.tar");
    await writeLayer(layer, stage);
    await writeImage(join(draft, "image.tar"), {
      name,
      layers: [base, layer],
      entrypoint: ["/usr/local/bin/slipway"],
      user: "65532:65532",
    });
    for (const part of [built, stage, layer]) await rm(part, { recursive: true });
  });
  await removeFormer(folder);
  return { name, file: join(folder, "image.tar") };
}

/** Every change of the sources makes an image of 600 MB: only the last one is kept. */
async function removeFormer(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    const former = name.startsWith("controller-image-") && !name.includes(".draft-");
    if (former && name !== basename(folder))
      await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}
