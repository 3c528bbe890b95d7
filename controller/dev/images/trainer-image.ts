import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { requireSystemFiles, type SystemNeeds } from "../apt.ts";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import { type ImageSpec, keepLayerDigest, writeLayer } from "../node/image-tar.ts";
import { cloneRoot, filesBelow } from "./clone.ts";
import { debianLayer } from "./debian.ts";
import { runStep } from "./run-step.ts";

/** Frameworks do not fit into one environment. */
export type TrainerSet = "torch" | "tensorflow";

/** What the environment is made from; the program itself changes more often and is a layer of its own. */
const ENVIRONMENT = ["images/trainer/stage.sh", "workers/trainer/install.sh", "workers/trainer/cpu_only.py"];
const PROGRAM = "workers/trainer/slipway_trainer";

/** What images/trainer/Dockerfile installs for it. The Python is that of the image's Debian (images/debian.ts). */
const PYTHON: SystemNeeds = {
  files: [
    ["/usr/bin/python3.11", "python3"],
    ["/usr/lib/python3.11/ensurepip/__init__.py", "python3-venv"],
    ["/usr/bin/gcc", "gcc"],
    ["/usr/include/stdio.h", "libc6-dev"],
    ["/usr/bin/readelf", "binutils"],
  ],
  code: "ImageFailed",
  otherwise: "build images/trainer/Dockerfile with Docker",
};

/** What the trainer's environments are made with. @throws SlipwayError ImageFailed with what to install */
export const requirePython = (options: CacheOptions): Promise<void> => requireSystemFiles(PYTHON, options);

/**
 * The image of the trainer, from a clone; the same as images/trainer/Dockerfile makes. Its layers stay files in the
 * cache: `importLayers` brings them to a node.
 */
export async function trainerImage(set: TrainerSet, options: CacheOptions): Promise<ImageSpec> {
  const root = cloneRoot();
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const debian = await debianLayer(join(root, "images", "trainer", "packages.txt"), options);
  const environment = await environmentLayer(set, root, options);
  const program = await programLayer(root, version, options);
  return {
    name: `ghcr.io/slipway-dev/slipway-trainer${set === "torch" ? "" : `-${set}`}:${version}`,
    layers: [debian, environment, program],
    entrypoint: ["/opt/trainer/bin/python", "-m", "slipway_trainer"],
    env: ["USER=trainer", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "HF_HUB_DISABLE_TELEMETRY=1"],
    user: "65532:65532",
  };
}

async function environmentLayer(set: TrainerSet, root: string, options: CacheOptions): Promise<string> {
  const lock = `workers/trainer/requirements/${set}.txt`;
  const inputs = await digestFiles(
    [...ENVIRONMENT, lock].map((path) => join(root, path)),
    process.arch,
  );
  const artifact = { name: `trainer-environment-${set}`, version: "python3", inputs };
  const folder = await cached(artifact, options, async (draft) => {
    await requirePython(options);
    options.report(`installing the trainer's environment (${set}): some minutes`);
    const stage = join(draft, "stage");
    await runStep(join(root, "images", "trainer", "stage.sh"), [set, stage], {
      failed: "the trainer's environment could not be installed",
      hint: "it needs a package index: PIP_INDEX_URL",
      cwd: root,
      owner: draft,
      signal: options.signal,
    });
    options.report("writing the trainer's environment");
    await writeLayer(join(draft, "layer.tar"), stage);
    await rm(stage, { recursive: true });
    await keepLayerDigest(join(draft, "layer.tar"));
  });
  return join(folder, "layer.tar");
}

async function programLayer(root: string, version: string, options: CacheOptions): Promise<string> {
  const inputs = await digestFiles(await filesBelow(root, [PROGRAM]));
  const folder = await cached({ name: "trainer-program", version, inputs }, options, async (draft) => {
    const stage = join(draft, "stage");
    const target = join(stage, "opt", "slipway-trainer", "slipway_trainer");
    await mkdir(target, { recursive: true });
    await cp(join(root, PROGRAM), target, {
      recursive: true,
      filter: (path) => !path.includes("__pycache__"),
    });
    await writeLayer(join(draft, "layer.tar"), stage);
    await rm(stage, { recursive: true });
  });
  return join(folder, "layer.tar");
}
