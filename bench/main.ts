/**
 * Runs a bench by name. Each is a program that prints one JSON line on standard output.
 *
 *   npm run bench -- NAME [arguments]      npm run bench      lists the names
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const BENCHES: Readonly<Record<string, string>> = {
  "push-to-ready": "git push until Ready at the expected revision, 10 objects a push",
  drift: "a change by hand until it is repaired",
  idle: "CPU and requests of a controller with 200 objects and nothing to do",
  "eval-run": "wall time of an evaluation over the limit of latency and concurrency",
  statistics: "the verdict on 100,000 paired cases, beside numpy (needs PYTHON with numpy)",
  dedup: "near-duplicates in 100,000 and 1,000,000 rows, beside datasketch and rensa",
  prepare: "preparing rows in MB/s, beside datatrove in one process; with --gigabytes 5 its memory alone",
};

const [name, ...args] = process.argv.slice(2);
if (name === undefined) {
  for (const [each, what] of Object.entries(BENCHES)) console.log(`${each.padEnd(16)}${what}`);
} else if (!Object.hasOwn(BENCHES, name)) {
  console.error(`there is no bench ${name}; there are: ${Object.keys(BENCHES).join(", ")}`);
  process.exitCode = 2;
} else {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...args], {
    stdio: "inherit",
  });
  // The bench gets Ctrl-C itself and cleans up; this process only waits for it.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
}
