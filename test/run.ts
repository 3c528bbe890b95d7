import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readReport } from "./run-report.ts";

/*
 * `npm test`: every project in turn, then what was skipped, and one line with the sum. A project that ran nothing is a
 * failure, so that a wrong pattern or a broken set-up cannot pass for success.
 */
const projects =
  process.argv.slice(2).length > 0
    ? process.argv.slice(2)
    : ["unit", "component", "integration", "e2e", "crash"];
const folder = mkdtempSync(join(tmpdir(), "slipway-test-"));
let passed = 0;
let skipped = 0;
const skippedFiles: string[] = [];
const failures: string[] = [];

for (const project of projects) {
  const report = join(folder, `${project}.json`);
  const started = Date.now();
  console.log(`\n=== ${project}`);
  const { status } = spawnSync(
    "vitest",
    ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    { stdio: "inherit", shell: process.platform === "win32" },
  );
  const outcome = readReport(report);
  passed += outcome.passed;
  skipped += outcome.skipped;
  skippedFiles.push(...outcome.skippedFiles.map((file) => `${project}: ${file}`));
  const failed = [...outcome.failures];
  if (outcome.passed + failed.length === 0) failed.push("no test ran");
  else if (status !== 0 && failed.length === 0)
    failed.push(`vitest ended with status ${status} although no test failed`);
  failures.push(...failed.map((failure) => `${project}: ${failure}`));
  console.log(
    `=== ${project}: ${outcome.passed} passed, ${failed.length} failed, ${outcome.skipped} skipped, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
rmSync(folder, { recursive: true, force: true });
if (skippedFiles.length > 0) console.log(`\nSkipped as a whole:\n${skippedFiles.join("\n")}`);
// Again at the end: what failed an hour ago is far up.
if (failures.length > 0) console.log(`\nFailed:\n${failures.join("\n")}`);
console.log(`\n${skipped} skipped\n${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
