import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodePossible } from "../node-possible.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");
const CASES = join(import.meta.dirname, "..", "..", "examples", "support-triage", "cases", "tickets.jsonl");
const LIMIT_MS = 2_700_000;

/**
 * The demo is the whole story on real parts: a good and a bad prompt that a 135M model answers differently, and where a
 * node can be had, the chain from training rows over a LoRA adapter of 30 steps to an alert. It ends with 0 only when
 * the good prompt passed, the bad one was blocked, the merge was evaluated, and everything of the chain came to be.
 */
test("real models: from push to merge, and from rows to an alert", { timeout: LIMIT_MS }, async () => {
  const demo = spawn(process.execPath, [PROGRAM, "demo", "--once", ...(nodePossible ? ["--full"] : [])], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
    // It cleans up before it ends, and what it has said is not lost.
    timeout: LIMIT_MS - 180_000,
  });
  let output = "";
  for (const stream of [demo.stdout, demo.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(demo, "close")) as [number | null];
  expect(code, output).toBe(0);
  expect(output).toContain("slipway/evals (main): success");
  expect(output).toContain("slipway/evals (main): failure");

  // The comment on the bad one says how many cases got worse, and shows them: right on main, wrong in the pull request.
  const bad = output.slice(
    output.indexOf("slipway/evals (main): success"),
    output.indexOf("slipway/evals (main): failure"),
  );
  const [, worse = "0"] = /(\d+) of 138 cases got worse/.exec(bad) ?? [];
  const shown = [...bad.matchAll(/^ +(\S+) .*✅.*❌/gm)].map(([, id = ""]) => id);
  expect(shown.length, bad).toBe(Math.min(10, Number(worse)));
  expect(shown.length, bad).toBeGreaterThan(0);
  const ids = readFileSync(CASES, "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id);
  expect(ids).toEqual(expect.arrayContaining(shown));

  // The merge was followed: another run on main, with the better prompt's score.
  const [, before, after] = /EvalSuite triage: ([\d.]+)% → ([\d.]+)%/.exec(output) ?? [];
  expect(Number(after), output).toBeGreaterThan(Number(before));
  const runs = [...output.matchAll(/evalrun\.slipway\.dev\/(triage-[0-9a-f]{32}) +True /g)].map(
    ([, run]) => run,
  );
  expect(new Set(runs).size).toBe(2);
  if (!nodePossible) return;
  expect(output).toMatch(/^ +topic +True +ALERT /m);
  expect(output).toMatch(/FineTuneJob\/topic/);
  // The base model answers in a sentence.
  expect(output).toMatch(/^ *POST \S+\/chat\/completions: .*\n\s*(money|software|password|delivery)$/m);
  const [, first, second, answered] = /(\w+) → (\w+); (\d+) tickets answered meanwhile/.exec(output) ?? [];
  expect(second, output).toMatch(/^[0-9a-f]{8,}$/);
  expect(second).not.toBe(first);
  expect(Number(answered)).toBeGreaterThan(1);
  expect(output).toContain("alertname: SlipwayMonitor");
});
