import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";

/** A command that needs a moment to clean up. @param cleaningMs how long */
function command(cleaningMs: number) {
  const program = `
    import { onInterrupt } from ${JSON.stringify(join(import.meta.dirname, "interrupt.ts"))};
    import { setTimeout as sleep } from "node:timers/promises";
    using interruption = onInterrupt("asked to stop");
    const alive = setInterval(() => {}, 1000);
    interruption.signal.addEventListener("abort", async () => {
      console.log(interruption.signal.reason.message);
      await sleep(${cleaningMs});
      console.log("cleaned");
      clearInterval(alive);
    });
    console.log("running");
    await new Promise((resolve) => interruption.signal.addEventListener("abort", resolve));
    await sleep(${cleaningMs} + 50);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => lines.push(...text.trim().split("\n")));
  const said = async (line: string) => {
    while (!lines.includes(line)) await once(child.stdout, "data");
  };
  return { child, lines, said };
}

test("one key press that arrives twice lets the command clean up", async () => {
  const { child, lines, said } = command(300);
  await said("running");
  child.kill("SIGINT");
  child.kill("SIGINT");
  await said("asked to stop");
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(lines).toEqual(["running", "asked to stop", "cleaned"]);
});

test("a second press ends what hangs", async () => {
  const { child, lines, said } = command(60_000);
  await said("running");
  child.kill("SIGINT");
  await said("asked to stop");
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(lines).not.toContain("cleaned");
});
