import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

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
  const failed = [...outcome.failures];
  if (outcome.passed + failed.length === 0) failed.push("no test ran");
  else if (status !== 0 && failed.length === 0)
    failed.push(`vitest ended with status ${status} although no test failed`);
  failures.push(...failed.map((failure) => `${project}: ${failure}`));
  console.log(
    `=== ${project}: ${outcome.passed} passed, ${failed.length} failed, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
rmSync(folder, { recursive: true, force: true });
// Again at the end: what failed an hour ago is far up.
if (failures.length > 0) console.log(`\nFailed:\n${failures.join("\n")}`);
console.log(`\n${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** What a project's report says; nothing where it could not write one. */
function readReport(file: string): { passed: number; failures: string[] } {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, failures: [] };
  }
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const path = relative(process.cwd(), name);
    const tests = assertionResults.filter((test) => test.status === "failed");
    // A file that cannot be loaded fails without a failed test.
    if (status === "failed" && tests.length === 0) return [`${path}: ${firstLine(message)}`];
    return tests.map((test) => `${path} > ${test.fullName}: ${firstLine(test.failureMessages[0])}`);
  });
  return { passed: report.numPassedTests, failures };
}

function firstLine(text = "no message"): string {
  return text.split("\n", 1)[0] ?? text;
}
