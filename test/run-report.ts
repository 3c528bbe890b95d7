import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** How the tests of a project went. */
export interface Outcome {
  readonly passed: number;
  readonly skipped: number;
  /** Files of which not one test ran. */
  readonly skippedFiles: readonly string[];
  /** One line each. */
  readonly failures: readonly string[];
}

/** What vitest's JSON reporter writes. */
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

/** What a project's report says, with paths from a folder on; nothing where it could not write one. */
export function readReport(file: string, root = process.cwd()): Outcome {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, skipped: 0, skippedFiles: [], failures: [] };
  }
  let skipped = 0;
  const skippedFiles: string[] = [];
  const failures: string[] = [];
  for (const { name, status, message, assertionResults } of report.testResults) {
    const path = relative(root, name);
    const left = assertionResults.filter((test) => test.status !== "passed" && test.status !== "failed");
    skipped += left.length;
    // Vitest calls those too skipped whose set-up failed; the file says so.
    if (status !== "failed" && left.length > 0 && left.length === assertionResults.length)
      skippedFiles.push(path);
    const failed = assertionResults.filter((test) => test.status === "failed");
    // A file that cannot be loaded fails without a failed test.
    if (status === "failed" && failed.length === 0) failures.push(`${path}: ${firstLine(message)}`);
    for (const test of failed)
      failures.push(`${path} > ${test.fullName}: ${firstLine(test.failureMessages[0])}`);
  }
  return { passed: report.numPassedTests, skipped, skippedFiles, failures };
}

function firstLine(text = "no message"): string {
  return text.split("\n", 1)[0] ?? text;
}
