import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodePossible } from "../../../test/node-possible.ts";
import { imageID, writeImageWithoutLayers, writeLayer } from "./image-tar.ts";

const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layer-"));
});
afterEach(() => rm(folder, { recursive: true }));

test.skipIf(!nodePossible)("a layer is root's, but for what is made over to the image's user", async () => {
  const stage = join(folder, "stage");
  await mkdir(join(stage, "state"), { recursive: true });
  await writeFile(join(stage, "program"), "");
  await chown(join(stage, "program"), 1000, 1000);
  await chown(join(stage, "state"), 65532, 65532);
  await chmod(join(stage, "program"), 0o700);
  const layer = join(folder, "layer.tar");
  await writeLayer(layer, stage);
  const { stdout } = await run("tar", ["--numeric-owner", "-tvf", layer]);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/));
  expect(Object.fromEntries(lines.map((fields) => [fields.at(-1), fields.slice(0, 2)]))).toEqual({
    "./": ["drwxr-xr-x", "0/0"],
    "./program": ["-rwxr-xr-x", "0/0"],
    "./state/": ["drwxr-xr-x", "65532/65532"],
  });
});

test("an image without its layers refers from index to manifest to config, and to the layers by digest and size", async () => {
  const layer = join(folder, "layer.tar");
  await writeFile(layer, "a layer");
  const spec = { name: "example.com/image:1", layers: [layer], entrypoint: ["/bin/true"] };
  const image = join(folder, "image.tar");
  await writeImageWithoutLayers(image, spec);
  await run("tar", ["-C", folder, "-xf", image]);
  const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const blob = async ({ digest, size }: { digest: string; size: number }) => {
    const text = await readFile(join(folder, "blobs", ...digest.split(":")), "utf8");
    expect([sha256(text), Buffer.byteLength(text)]).toEqual([digest, size]);
    return JSON.parse(text);
  };
  const index = JSON.parse(await readFile(join(folder, "index.json"), "utf8"));
  expect(index.manifests).toMatchObject([{ annotations: { "io.containerd.image.name": spec.name } }]);
  const manifest = await blob(index.manifests[0]);
  expect(manifest.layers).toMatchObject([{ digest: sha256("a layer"), size: 7 }]);
  expect(manifest.config.digest).toBe(await imageID(spec));
  expect((await blob(manifest.config)).rootfs.diff_ids).toEqual([sha256("a layer")]);
});
