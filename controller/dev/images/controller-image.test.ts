import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { artifactPath } from "../cache.ts";
import { removeFormer } from "./controller-image.ts";

test("of the controller's images the last is kept; locks, drafts and what is not one of them stay", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-images-"));
  try {
    const image = (inputs: string) =>
      artifactPath({ name: "controller-image", version: "1.0.0", inputs }, root);
    const [former, last] = [image("0123456789ab"), image("ba9876543210")];
    const trainer = artifactPath({ name: "trainer-program", version: "1.0.0", inputs: "0123456789ab" }, root);
    const kept = [last, `${last}.draft-1a2b3c`, trainer];
    for (const folder of [former, ...kept]) await mkdir(folder);
    const locks = [`${former}.lock`, `${last}.lock`, `${last}.lock.1a2b3c4d-5e6f-7a8b-9c0d-1a2b3c4d5e6f`];
    for (const lock of locks) await writeFile(lock, "");
    await removeFormer(last);
    expect((await readdir(root)).map((name) => join(root, name)).toSorted()).toEqual(
      [...kept, ...locks].toSorted(),
    );
  } finally {
    await rm(root, { recursive: true });
  }
});
