import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/*
 * `npm test`: every project in turn, then one line with the sum. A project that ran nothing is a failure, so that a
 * wrong pattern or a broken set-up cannot pass for success.
 */
const projects =
  process.argv.slice(2).length > 0
    ? process.argv.slice(2)
    : ["unit", "component", "integration", "e2e", "crash"];
const folder = mkdtempSync(join(tmpdir(), "slipway-test-"));
let passed = 0;
let failed = 0;

for (const project of projects) {
  const report = join(folder, `${project}.json`);
  const started = Date.now();
  console.log(`\n=== ${project}`);
  const { status } = spawnSync(
    "vitest",
    ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    { stdio: "inherit", shell: process.platform === "win32" },
  );
  const counts = readCounts(report);
  passed += counts.passed;
  failed += counts.failed;
  if (counts.passed + counts.failed === 0) {
    console.error(`${project}: no test ran`);
    failed += 1;
  } else if (status !== 0 && counts.failed === 0) {
    console.error(`${project}: vitest ended with status ${status} although no test failed`);
    failed += 1;
  }
  console.log(
    `=== ${project}: ${counts.passed} passed, ${counts.failed} failed, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
rmSync(folder, { recursive: true, force: true });
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function readCounts(file: string): { passed: number; failed: number } {
  try {
    const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(
      readFileSync(file, "utf8"),
    ) as Record<string, number>;
    // A file that cannot be loaded fails as a suite without a failed test.
    return { passed: numPassedTests ?? 0, failed: (numFailedTests ?? 0) || (numFailedTestSuites ?? 0) };
  } catch {
    return { passed: 0, failed: 0 };
  }
}
