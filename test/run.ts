import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Outcome, readReport } from "./run-report.ts";

/*
 * `npm test`: every project, then what was skipped, and one line with the sum. A project that ran nothing is a failure,
 * so that a wrong pattern or a broken set-up cannot pass for success.
 */

/**
 * Stages one after the other; the lanes of a stage side by side, each with its projects in turn. What is in two lanes
 * has clusters of its own and waits for pods half of its time.
 */
const STAGES: readonly (readonly (readonly string[])[])[] = [
  [["unit"]],
  [["component"]],
  [["integration"]],
  [["e2e"], ["in-cluster", "crash"]],
];

const asked = process.argv.slice(2);
const stages = asked.length === 0 ? STAGES : asked.map((project) => [[project]]);
const folder = mkdtempSync(join(tmpdir(), "slipway-test-"));
const outcomes = new Map<string, Outcome>();
const running = new Set<ChildProcess>();

/** Runs a project's tests. @param shared whether others run beside it, so that lines have to tell whose they are */
async function run(project: string, shared: boolean): Promise<void> {
  const report = join(folder, `${project}.json`);
  const started = Date.now();
  console.log(`\n=== ${project}`);
  const vitest = spawn(
    "vitest",
    ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    { stdio: shared ? ["ignore", "pipe", "pipe"] : "inherit", shell: process.platform === "win32" },
  );
  for (const stream of [vitest.stdout, vitest.stderr])
    if (stream) createInterface(stream).on("line", (line) => console.log(`${project} | ${line}`));
  running.add(vitest);
  const status = await once(vitest, "close").then(
    ([code]) => code as number | null,
    (error: Error) => error.message,
  );
  running.delete(vitest);
  const outcome = readReport(report);
  const failures = [...outcome.failures];
  if (outcome.passed + failures.length === 0) failures.push("no test ran");
  else if (status !== 0 && failures.length === 0)
    failures.push(`vitest ended with status ${status} although no test failed`);
  outcomes.set(project, { ...outcome, failures });
  console.log(
    `=== ${project}: ${outcome.passed} passed, ${failures.length} failed, ${outcome.skipped} skipped, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}

// Ctrl-C in a terminal reaches vitest too, which ends at once. What failed until then is told; the shared cluster and
// forge that stay are removed by the next run (test/devcluster/global-setup.ts).
let interrupted = false;
process.on("SIGINT", () => {
  interrupted = true;
});
process.on("SIGTERM", () => {
  interrupted = true;
  for (const vitest of running) vitest.kill();
});
for (const lanes of stages)
  await Promise.all(
    lanes.map(async (projects) => {
      for (const project of projects) if (!interrupted) await run(project, lanes.length > 1);
    }),
  );
rmSync(folder, { recursive: true, force: true });

const lines = (of: "skippedFiles" | "failures") =>
  [...outcomes].flatMap(([project, outcome]) => outcome[of].map((line) => `${project}: ${line}`));
const sum = (of: "passed" | "skipped") =>
  [...outcomes.values()].reduce((total, outcome) => total + outcome[of], 0);
const failures = lines("failures");
const skippedFiles = lines("skippedFiles");
if (skippedFiles.length > 0) console.log(`\nSkipped as a whole:\n${skippedFiles.join("\n")}`);
// Again at the end: what failed an hour ago is far up.
if (failures.length > 0) console.log(`\nFailed:\n${failures.join("\n")}`);
console.log(`\n${sum("skipped")} skipped\n${sum("passed")} passed, ${failures.length} failed`);
process.exitCode = interrupted ? 130 : failures.length > 0 ? 1 : 0;
