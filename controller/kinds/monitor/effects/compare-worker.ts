import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { SuiteBundle } from "../../../eval/bundle.ts";
import type { RunResult } from "../../../eval/result.ts";
import { blobDigest } from "../../../graph/canonical.ts";
import { compareRuns } from "../signals/replay-compare.ts";
import type { CompareTask, LocatedBlob } from "./compare.ts";

/** The store's own file; it is checked here, by who reads it. */
async function load<T>({ digest, file }: LocatedBlob): Promise<T> {
  const data = await readFile(file);
  if (blobDigest(data) !== digest) throw new Error(`${digest} is damaged`);
  return JSON.parse(data.toString("utf8")) as T;
}

const { metric, suiteBundle, result, reference } = workerData as CompareTask;
const suite = await load<SuiteBundle>(suiteBundle);
const { cases } = await load<RunResult>(result);
const before = reference && (await load<RunResult>(reference));
const answer = compareRuns({
  metric,
  rows: cases,
  ...(before ? { reference: before.cases } : {}),
  repeats: suite.repeats,
  clusters: new Map(
    suite.cases.flatMap(({ id, cluster }) => (cluster === undefined ? [] : [[id, cluster] as const])),
  ),
});
parentPort?.postMessage(answer);
