import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodePossible } from "../node-possible.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");
const LIMIT_MS = 2_700_000;

/**
 * The demo is the whole story on real parts: a good and a bad prompt that a 135M model answers differently, and where a
 * node can be had, the chain from training rows over a LoRA adapter of 30 steps to an alert. It ends with 0 only when
 * the good prompt passed, the bad one was blocked, and everything of the chain came to be.
 */
test("real models: from push to merge, and from rows to an alert", { timeout: LIMIT_MS }, async () => {
  const demo = spawn(process.execPath, [PROGRAM, "demo", "--once", ...(nodePossible ? ["--full"] : [])], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
    timeout: LIMIT_MS - 30_000,
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
  if (!nodePossible) return;
  expect(output).toMatch(/^ +topic +True +ALERT /m);
  expect(output).toMatch(/FineTuneJob\/topic/);
  expect(output).toContain("alertname: SlipwayMonitor");
});
