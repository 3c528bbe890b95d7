import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { possible } from "../possible.ts";
import { ensurePython, python, run } from "./environment.ts";

/*
 * What of the trainer can be checked without a framework, on every commit: `npm run test:train -- checks` does it with
 * both, which takes gigabytes. mypy takes what is not installed for Any, so it says nothing of returning that.
 */
const WITHOUT_FRAMEWORK = ["spec", "rows", "progress", "controller"].map((name) => `tests/test_${name}.py`);

const missing = await ensurePython().then(
  () => [],
  (error: unknown) => [String(error)],
);

describe.skipIf(!possible("the trainer's Python", missing))("the trainer's Python", () => {
  let folder: string;
  let interpreter: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-python-"));
    interpreter = await python("dev");
  }, 600_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What it prints; where it fails, the error says that, not where a log was. */
  const module = async (...args: string[]) => {
    const log = join(folder, `${args[0]}.log`);
    return run(interpreter, ["-m", ...args], log).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await readFile(log, "utf8")}`);
    });
  };

  test("has no finding of ruff, and is formatted", async () => {
    expect(await module("ruff", "check", "--no-cache", ".")).toContain("All checks passed!");
    expect(await module("ruff", "format", "--no-cache", "--check", ".")).toMatch(/^\d+ files already/);
  }, 120_000);

  test("has the types that it says it has", async () => {
    const lenient = ["--ignore-missing-imports", "--disable-error-code=no-any-return"];
    const said = await module("mypy", "--cache-dir=/dev/null", "--no-warn-unused-ignores", ...lenient);
    expect(said).toMatch(/^Success: no issues found in \d+ source files/);
  }, 300_000);

  test("passes those of its tests that need no framework", async () => {
    const said = await module("pytest", "-p", "no:cacheprovider", ...WITHOUT_FRAMEWORK);
    expect(said).toMatch(/^\d+ passed in /m);
  }, 300_000);
});
