/** Prepares a JSONL file as a Dataset: `ours.ts FILE THREADS`. Prints seconds, rows and the artifact's digest. */
import { mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { prepareDataset } from "../../controller/data/prepare.ts";
import { datasetSpec } from "../../schemas/dataset.ts";

const [file = "", threads = "1"] = process.argv.slice(2);
const spec = datasetSpec.parse({
  format: "completion",
  sources: [{ name: "rows", files: [{ path: "rows.jsonl" }] }],
  steps: [
    { name: "near", type: "nearDedup" },
    { name: "privacy", type: "pii" },
  ],
});
const folder = mkdtempSync(join(dirname(file), "work-"));
const started = performance.now();
try {
  const outcome = await prepareDataset({
    name: "rows",
    spec,
    sources: [{ name: "rows", files: [{ path: "rows.jsonl", file }] }],
    cases: new Map(),
    folder,
    threads: Number(threads),
  });
  const seconds = (performance.now() - started) / 1000;
  const { summary } = outcome;
  const digest = "artifact" in outcome ? outcome.artifact.digest : undefined;
  const maxRssMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(
    JSON.stringify({ seconds, read: summary.read, rows: summary.splits[0]?.rows, digest, maxRssMiB }),
  );
} finally {
  rmSync(folder, { recursive: true });
}
