import { execFile } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodePossible } from "../../../test/node-possible.ts";
import { writeLayer } from "./image-tar.ts";

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
