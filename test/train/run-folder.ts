import { join } from "node:path";
import { digestFiles } from "../../controller/dev/cache.ts";
import { filesBelow } from "../../controller/dev/images/clone.ts";

/** What the trainings of a run are made from: the program, its environments, rows, cases, and what asks for them. */
const MADE_FROM = [
  "controller/dev/model/pins.ts",
  "examples/support-llm/data/train.jsonl",
  "examples/support-triage/cases/tickets.jsonl",
  "test/train",
  "workers/trainer/cpu_only.py",
  "workers/trainer/install.sh",
  "workers/trainer/requirements/tensorflow.txt",
  "workers/trainer/requirements/torch.txt",
  "workers/trainer/slipway_trainer",
];

/**
 * Where a run keeps what it has made: a folder for what it is made from. So one that was cut off goes on, and a change
 * of any of it trains anew instead of passing with what was trained before.
 * @param folder where the folders of all runs are
 * @param root of the clone
 */
export async function runFolder(folder: string, root: string): Promise<string> {
  const digest = await digestFiles(await filesBelow(root, MADE_FROM));
  return join(folder, digest.slice(0, 12));
}
