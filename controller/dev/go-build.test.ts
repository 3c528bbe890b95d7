import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type GoBuild, goBuild, isRecentGo } from "./go-build.ts";
import { silent } from "./progress.ts";

const run = promisify(execFile);
const goVersion = await run("go", ["env", "GOVERSION"]).then(
  ({ stdout }) => stdout,
  () => "",
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-go-"));
  await writeFile(join(folder, "go.mod"), "module example.com/hello\n\ngo 1.24\n");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

function hello(): GoBuild {
  return {
    title: "hello 1.0",
    module: folder,
    pkg: ".",
    owner: folder,
    output: join(folder, "hello"),
    variables: ["main.version=1.0"],
    report: silent,
  };
}

test("Go's versions are told apart", () => {
  expect(["go1.24", "go1.26.8", "go2.0", "devel +abc"].map(isRecentGo)).toEqual([true, true, true, true]);
  expect(["go1.23.9", "go1.9", ""].map(isRecentGo)).toEqual([false, false, false]);
});

test("without Go the error says what to install", async () => {
  vi.stubEnv("PATH", folder);
  await expect(goBuild(hello())).rejects.toMatchObject({
    code: "GoMissing",
    hint: expect.stringContaining("go.dev/dl"),
  });
});

test("a Go that is too old is named, and which one would do", async () => {
  const go = join(folder, "go");
  await writeFile(go, "#!/bin/sh\necho go1.23.9\n", { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`);
  await expect(goBuild(hello())).rejects.toMatchObject({
    code: "GoTooOld",
    message: "hello 1.0 needs Go 1.24 or newer, found go1.23.9",
    hint: expect.stringContaining("go.dev/dl"),
  });
});

describe.skipIf(!isRecentGo(goVersion))("with Go", () => {
  test("a program is compiled with its version in it", async () => {
    await writeFile(
      join(folder, "main.go"),
      'package main\nvar version = ""\nfunc main() { println(version) }\n',
    );
    const messages: string[] = [];
    await goBuild({ ...hello(), report: (message) => messages.push(message) });
    const { stderr } = await run(join(folder, "hello"));
    expect(stderr.trim()).toBe("1.0");
    expect(messages[0]).toBe("compiling hello 1.0: 0 packages, 0 s");
  }, 60_000);

  test("what the compiler says is in the error", async () => {
    await writeFile(join(folder, "main.go"), "package main\nfunc main() { nothing() }\n");
    await expect(goBuild(hello())).rejects.toMatchObject({
      code: "BuildFailed",
      message: expect.stringContaining("undefined: nothing"),
    });
  }, 60_000);
});
