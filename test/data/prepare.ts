/**
 * Prepares a Dataset as the controller does, in a process that a test may kill: `prepare.ts STORE FILE`. Prints the
 * artifact's digest.
 */
import { createReadStream } from "node:fs";
import { prepareEffect } from "../../controller/kinds/dataset/index.ts";
import { openBlobStore } from "../../controller/store/blobs.ts";
import { datasetSpec } from "../../schemas/dataset.ts";

const [store = "", file = ""] = process.argv.slice(2);
const blobs = await openBlobStore(store);
const { digest } = await blobs.putStream(createReadStream(file));
const spec = datasetSpec.parse({
  format: "completion",
  sources: [{ name: "main", files: [{ path: "rows.jsonl", digest }] }],
  steps: [
    { name: "clean", type: "normalize" },
    { name: "same", type: "exactDedup" },
    { name: "like", type: "nearDedup" },
    { name: "privacy", type: "pii" },
  ],
  splits: [
    { name: "train", percent: 90 },
    { name: "test", percent: 10 },
  ],
});
const output = await prepareEffect(blobs)({ name: "rows", spec, artifacts: {}, suites: {} } as never, {
  signal: new AbortController().signal,
  progress: () => {},
});
process.stdout.write((output as { artifact: { digest: string } }).artifact.digest);
