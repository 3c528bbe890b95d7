/** Which rows of a JSONL file have a near-duplicate: `ours.ts FILE THREADS`; prints seconds and writes flags. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inputFiles, passRows } from "../../controller/data/engine.ts";
import { clustersOf } from "../../controller/data/globals.ts";
import { BANDS } from "../../controller/data/minhash.ts";
import { Pool } from "../../controller/data/pool.ts";
import { datasetSpec } from "../../schemas/dataset.ts";

const [file = "", threads = "1", out = "flags"] = process.argv.slice(2);
const near = { threshold: 0.7, ngram: 5 };
const spec = datasetSpec.parse({
  format: "completion",
  sources: [{ name: "rows", files: [{ path: "rows.jsonl" }] }],
  steps: [{ name: "near", type: "nearDedup", nearDedup: near }],
});
const folder = mkdtempSync(join(tmpdir(), "slipway-bench-"));
const started = performance.now();
const input = inputFiles(spec, [{ name: "rows", files: [{ path: "rows.jsonl", file }] }]);
const pool = new Pool({ spec, cases: new Map(), files: input.names }, Number(threads));
using pass = await passRows({ spec, sources: [], cases: new Map(), folder }, input, pool);
const clusters = await clustersOf(near, pass.keys[0]!, pass, 1 + BANDS, pool);
const rows = pass.dropped.length;
const flags = new Uint8Array(rows);
for (let row = 0; row < rows; row++) {
  const first = clusters.first(row);
  if (first === row) continue;
  flags[row] = 1;
  flags[first] = 1;
}
const seconds = (performance.now() - started) / 1000;
await pool[Symbol.asyncDispose]();
rmSync(folder, { recursive: true });
writeFileSync(out, flags);
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    seconds,
    cpu: (userCPUTime + systemCPUTime) / 1e6,
    rows,
    maxRssMiB: Math.round(maxRSS / 1024),
  }),
);
