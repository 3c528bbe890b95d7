import { parentPort, workerData } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import type { StageContext } from "./stage.ts";
import { type Task, TaskRunner, type ThreadAnswer } from "./task.ts";

/** One thread of a pool: a task at a time. */
const runner = new TaskRunner(workerData as StageContext);

parentPort?.on("message", async ({ id, task }: { id: number; task: Task }) => {
  parentPort?.postMessage(await answer(id, task));
});

async function answer(id: number, task: Task): Promise<ThreadAnswer> {
  try {
    return { id, result: await runner.run(task) };
  } catch (error) {
    if (error instanceof SlipwayError)
      return { id, error: { code: error.code, message: error.message, hint: error.hint } };
    return { id, error: { message: error instanceof Error ? error.message : String(error) } };
  }
}
