import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { aptUpdate, requireSystemFiles } from "./apt.ts";

let folder: string;
const path = process.env.PATH;

/** Stands where apt-get is, so that no test changes the machine. */
const aptGet = (script: string) =>
  writeFile(join(folder, "apt-get"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-apt-"));
  process.env.PATH = `${folder}:/usr/bin:/bin`;
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true });
});

const require = (report = (_: string) => {}) =>
  requireSystemFiles(
    {
      files: [
        ["/bin/sh", "dash"],
        [join(folder, "bin"), "wanted"],
      ],
      code: "NodeUnavailable",
      otherwise: "do without",
    },
    { report, root: folder },
  );

test("only what is missing is installed, and only once", async () => {
  await aptGet(`echo "$@" >> ${folder}/asked; [ "$1" = update ] || touch ${folder}/bin`);
  const report = vi.fn();
  await Promise.all([require(report), require(report)]);
  const asked = (await readFile(join(folder, "asked"), "utf8")).trim().split("\n");
  expect(asked).toEqual(["update -qq", "install -y -qq --no-install-recommends wanted"]);
  expect(report.mock.calls.flat().filter((text) => text.startsWith("installing"))).toEqual([
    "installing wanted",
  ]);
});

test("what cannot be installed is named, with what to do", async () => {
  await aptGet("exit 100");
  await expect(require()).rejects.toMatchObject({
    code: "NodeUnavailable",
    message: "wanted could not be installed",
    hint: "install by hand: apt-get install wanted; or do without",
  });
});

test("a package that puts its file elsewhere is told", async () => {
  await aptGet("exit 0");
  await expect(require()).rejects.toThrow("wanted is installed but not where Debian puts it");
});

test("the lists are read by one at a time", async () => {
  // apt fails while another holds its lock on them.
  await aptGet(`mkdir ${folder}/lists || exit 100; sleep 0.2; rmdir ${folder}/lists`);
  const update = () => aptUpdate({ report: () => {}, root: folder });
  await Promise.all([update(), update(), expect(require()).rejects.toThrow("wanted is installed but not")]);
});
