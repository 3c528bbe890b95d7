import { writeFile } from "node:fs/promises";
import { diffInThread } from "../../data/diff/run.ts";
import { createProgress } from "../../dev/progress.ts";
import { planDiffs } from "../../pr/data/plan.ts";
import { type DataState, newFault } from "../../pr/data/state.ts";
import { EXIT } from "./exit.ts";
import { printCompared } from "./print.ts";
import { snapshotOf } from "./snapshot.ts";

export interface DiffOptions {
  readonly file: string;
  readonly base: string;
  readonly head?: string;
  readonly json?: string;
}

/** Compares the Datasets that differ between two commits, or between a commit and the folder. */
export async function diffLocally(
  { file, base, head, json }: DiffOptions,
  signal: AbortSignal,
): Promise<number> {
  const before = await snapshotOf(file, base);
  const after = await snapshotOf(file, head);
  const progress = createProgress();
  const states: DataState[] = [];
  for (const plan of await planDiffs(before, after, true)) {
    const { dataset } = plan;
    if (plan.state === "NotCompared") {
      states.push(plan);
      continue;
    }
    progress.report(`${dataset}: comparing its rows`);
    states.push({ dataset, state: "Compared", diff: await diffInThread(plan.input, signal) });
  }
  progress.done();
  if (states.length === 0) console.log("no Dataset changes");
  for (const state of states) printCompared(state);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(states, null, 2)}\n`);
  if (states.some((state) => newFault(state) !== undefined)) return EXIT.fault;
  return states.some(({ state }) => state === "NotCompared") ? EXIT.unknown : EXIT.good;
}
