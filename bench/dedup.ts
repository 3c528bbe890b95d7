/**
 * Near-duplicates from one JSONL file, end to end, beside datasketch and rensa in their fastest documented modes: equal
 * threads, 128 hashes, threshold 0.7, 5-grams of words. Recall and precision against exact Jaccard similarity, on a
 * sample. Prints one JSON line.
 *
 * Of several rounds, in which the tools take turns, the least time of each counts.
 *
 *   npm run bench -- dedup [--rows 100000,1000000] [--threads 2] [--sample 2000] [--rounds 3]
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { cacheRoot } from "../controller/dev/paths.ts";
import { generateRows } from "./dedup/generate.ts";
import { accuracy, exactDuplicates } from "./dedup/truth.ts";
import { progress } from "./harness.ts";
import { machine } from "./machine.ts";
import { pythonWith } from "./python.ts";

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "100000,1000000" },
    threads: { type: "string", default: "2" },
    sample: { type: "string", default: "2000" },
    rounds: { type: "string", default: "3" },
  },
});
const here = join(import.meta.dirname, "dedup");
const python = await pythonWith(join(here, "requirements.txt"));
// As Python keeps its compiled modules: a thread would compile them anew.
const env = { ...process.env, NODE_COMPILE_CACHE: join(cacheRoot(), "bench-compiled") };
const folder = await mkdtemp(join(tmpdir(), "slipway-dedup-"));
const figures = [];
try {
  for (const rows of options.rows.split(",").map(Number)) {
    const file = join(folder, "rows.jsonl");
    progress(`${rows} rows`);
    await generateRows(file, rows);
    const truth = await exactDuplicates(file, rows, Number(options.sample), 0.7);
    const tools: Record<string, { seconds: number; recall: number; precision: number }> = {};
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const tool of ["slipway", "rensa", "datasketch"]) {
        const flags = join(folder, `${tool}.flags`);
        const [program, ...args] =
          tool === "slipway"
            ? [process.execPath, join(here, "ours.ts"), file, options.threads, flags]
            : [python, join(here, "others.py"), tool, file, options.threads, flags];
        const { stdout } = await run(program!, args, { env });
        const line = JSON.parse(stdout) as { seconds: number; cpu: number; maxRssMiB: number };
        progress(`${tool}: ${stdout.trim()}`);
        if (line.seconds >= (tools[tool]?.seconds ?? Infinity)) continue;
        tools[tool] = { ...line, ...accuracy(await readFile(flags), truth) };
      }
    }
    const over = (tool: string) => Math.round((tools[tool]!.seconds / tools.slipway!.seconds) * 100) / 100;
    figures.push({ rows, ...tools, overDatasketch: over("datasketch"), overRensa: over("rensa") });
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.stdout.write(
  `${JSON.stringify({ bench: "dedup", threads: Number(options.threads), figures, ...machine() })}\n`,
);
