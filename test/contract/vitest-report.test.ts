import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Outcome, readReport } from "../run-report.ts";

/* What `npm test` says of a run is read from vitest's report: here from that of a real run. */
const FILES = {
  "some.test.js": `
    test("passes", () => {});
    test.skip("is not asked for", () => {});
    test.todo("is not written");
    describe("a part", () => test("fails", () => { throw new Error("no\\nmore"); }));`,
  "none.test.js": `
    describe.skipIf(true)("on a node", () => {
      test("runs", () => {});
      test("runs again", () => {});
    });`,
  "setup.test.js": `
    beforeAll(() => { throw new Error("no cluster"); });
    test("runs", () => {});`,
  "broken.test.js": `throw new Error("a node is missing\\nhere");`,
};

let folder: string;
let outcome: Outcome;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-report-"));
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  const file = join(folder, "report.json");
  spawnSync(
    "vitest",
    ["run", "--root", folder, "--globals", "--reporter=json", `--outputFile.json=${file}`],
    { stdio: "ignore", shell: process.platform === "win32", timeout: 60_000 },
  );
  outcome = readReport(file, folder);
}, 90_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test("counts what passed and what was skipped", () => {
  expect(outcome).toMatchObject({ passed: 1, skipped: 5 });
});

test("names the files of which no test ran", () => {
  expect(outcome.skippedFiles).toEqual(["none.test.js"]);
});

test("has a line for each failure, also of a file that cannot be loaded", () => {
  expect(outcome.failures.toSorted()).toEqual([
    "broken.test.js: a node is missing",
    "setup.test.js: no cluster",
    "some.test.js > a part fails: Error: no",
  ]);
});

test("says nothing of a report that is not there", () => {
  expect(readReport(join(folder, "missing.json"))).toEqual({
    passed: 0,
    skipped: 0,
    skippedFiles: [],
    failures: [],
  });
});
