import { mkdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import type { CacheOptions } from "../dev/cache.ts";
import { clusterStatus } from "../dev/cluster.ts";
import { controllerImage } from "../dev/images/controller-image.ts";
import { trainerImage } from "../dev/images/trainer-image.ts";
import { type ImageSpec, imageID, imageSize, writeImage } from "../dev/node/image-tar.ts";
import type { NodeNamespace } from "../dev/node/namespace.ts";
import { importImage, importLayers } from "../dev/node/node.ts";
import { checkName } from "../dev/paths.ts";
import { SlipwayError } from "../errors.ts";
import { type NameOption, nameOption, print, withProgress } from "./dev-command.ts";

const BUILDERS = {
  controller: controllerImage,
  trainer: (options) => trainerImage("torch", options),
  "trainer-tensorflow": (options) => trainerImage("tensorflow", options),
} as const satisfies Record<string, (options: CacheOptions) => Promise<ImageSpec>>;

interface ImagesOptions extends NameOption {
  readonly only: readonly (keyof typeof BUILDERS)[];
  readonly out?: string;
}

/** `slipway dev images`: what the releases' pods run, made from a clone without Docker or a registry. */
export function devImagesCommand(): Command {
  return new Command("images")
    .description("make the images of the controller and the trainer, without Docker, and import them")
    .addOption(nameOption())
    .addOption(
      new Option("--only <image...>", "which images")
        .choices(Object.keys(BUILDERS))
        .default(["controller", "trainer"], "controller trainer"),
    )
    .option("--out <folder>", "also write each as a file there, for docker load and the like")
    .addHelpText(
      "after",
      "\nOn Debian, as root, what is needed for it is installed. The trainer's takes some minutes the first time: PyTorch or" +
        "\nTensorFlow is installed. What was made is kept in the cache.",
    )
    .action(images);
}

/** `slipway dev load-image`: any image for the node. */
export function devLoadImageCommand(): Command {
  return new Command("load-image")
    .description("bring an image (docker save, or an OCI layout, as a tar) to the node of a local cluster")
    .argument("<file>", "the tar file")
    .addOption(nameOption())
    .action(loadImage);
}

async function images({ name, only, out }: ImagesOptions): Promise<void> {
  // What is wrong here is said at once, not after minutes.
  checkName(name);
  if (out !== undefined) await mkdir(out, { recursive: true });
  const lines = await withProgress(async (report, signal) => {
    const made: ImageSpec[] = [];
    for (const which of new Set(only)) made.push(await BUILDERS[which]({ report, signal }));
    const node = await runningNode(name);
    const about: string[] = [];
    for (const image of made) {
      about.push(`image  ${image.name}`, `id     ${await imageID(image)}`);
      about.push(`size   ${Math.round((await imageSize(image)) / 1e6)} MB`);
      if (out !== undefined) {
        report(`writing ${image.name} to ${out}`);
        about.push(`file   ${await save(image, resolve(out))}`);
      }
      if (node) {
        report(`importing ${image.name}`);
        await importLayers(node.pid, image);
      }
      signal.throwIfAborted();
      about.push("");
    }
    return [...about, ...whereTo(name, node !== undefined, out !== undefined)];
  });
  print(lines);
}

async function save(image: ImageSpec, folder: string): Promise<string> {
  const file = join(folder, `${basename(image.name).replace(":", "-")}.tar`);
  await writeImage(file, image);
  return file;
}

function whereTo(name: string, imported: boolean, saved: boolean): string[] {
  if (imported) return [`imported into the node of the cluster "${name}"`];
  return [
    `not imported: no local cluster "${name}" with a node runs; slipway dev up --node --name ${name} starts one`,
    `elsewhere:    ${saved ? "" : "--out FOLDER writes files for "}docker load, kind load image-archive or ctr images import`,
  ];
}

async function loadImage(file: string, { name }: NameOption): Promise<void> {
  const node = await runningNode(name);
  if (!node) {
    throw new SlipwayError("NoNode", `no local cluster "${name}" with a node runs`, {
      hint: `start one with: slipway dev up --node --name ${name}; for kind: kind load image-archive FILE`,
    });
  }
  await withProgress((report) => {
    report(`importing ${file}`);
    return importImage(node.pid, resolve(file));
  });
  print([`${file} imported`]);
}

async function runningNode(name: string): Promise<NodeNamespace | undefined> {
  const { phase, cluster } = await clusterStatus(name);
  return phase === "running" ? cluster?.node : undefined;
}
