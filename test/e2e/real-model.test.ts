import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");
const LIMIT_MS = 900_000;

/**
 * The demo is the whole story with a real language model: on its own cluster and forge, with a good and a bad prompt that
 * a 135M model answers differently. It ends with 0 only when the good one passed and the bad one was blocked.
 */
test("a real model tells a good prompt from a bad one, from push to merge", {
  timeout: LIMIT_MS,
}, async () => {
  const demo = spawn(process.execPath, [PROGRAM, "demo", "--once"], {
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
});
