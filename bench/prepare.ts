/**
 * Preparing rows (near-duplicates, personal data, written as JSON lines; ours as Parquet too) in MB of input a second,
 * beside datatrove in one process. Prints one JSON line. With --gigabytes, ours alone on so much: what it needs of
 * memory.
 *
 *   npm run bench -- prepare [--rows 100000] [--threads 1] [--gigabytes 5]
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { generateRows } from "./dedup/generate.ts";
import { progress } from "./harness.ts";
import { machine } from "./machine.ts";
import { pythonWith } from "./python.ts";

/** Of a row of `generateRows`, about. */
const ROW_BYTES = 420;

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    threads: { type: "string", default: "1" },
    gigabytes: { type: "string" },
  },
});
const rows =
  options.gigabytes === undefined
    ? Number(options.rows)
    : Math.ceil((Number(options.gigabytes) * 1e9) / ROW_BYTES);
const here = join(import.meta.dirname, "prepare");
const folder = await mkdtemp(join(process.env.SLIPWAY_BENCH_DIR ?? tmpdir(), "slipway-prepare-"));
try {
  const file = join(folder, "rows.jsonl");
  progress(`${rows} rows`);
  await generateRows(file, rows);
  const megabytes = (await stat(file)).size / 1e6;
  const line = async (program: string, args: string[]) => {
    const { stdout } = await run(program, args, { maxBuffer: 1 << 26 });
    const found = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { seconds: number };
    progress(JSON.stringify(found));
    return { ...found, megabytesPerSecond: Math.round((megabytes / found.seconds) * 100) / 100 };
  };
  const slipway = await line(process.execPath, [join(here, "ours.ts"), file, options.threads]);
  const head = {
    bench: "prepare",
    megabytes: Math.round(megabytes),
    threads: Number(options.threads),
    slipway,
  };
  if (options.gigabytes !== undefined) process.stdout.write(`${JSON.stringify({ ...head, ...machine() })}\n`);
  else {
    const python = await pythonWith(join(here, "requirements.txt"));
    const datatrove = await line(python, [
      join(here, "datatrove_pipeline.py"),
      file,
      join(folder, "datatrove"),
    ]);
    const ratio = Math.round((datatrove.seconds / slipway.seconds) * 100) / 100;
    process.stdout.write(`${JSON.stringify({ ...head, datatrove, ratio, ...machine() })}\n`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
