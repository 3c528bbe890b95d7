import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { SlipwayError } from "../errors.ts";
import type { StageContext } from "./stage.ts";
import { type Results, type Task, TaskRunner, type ThreadAnswer } from "./task.ts";

/** How often a task is begun again whose thread died under it. */
const MAX_DEATHS = 3;
const MAX_HEAP_MB = 512;
const MAX_YOUNG_MB = 24;

interface Job {
  readonly task: Task;
  deaths: number;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Threads that run tasks. A thread that dies is replaced and its task begun again: a task writes files of its own and
 * tells of them at its end, so nobody sees what a dead one left.
 */
export class Pool implements AsyncDisposable {
  readonly #context: StageContext;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  readonly #waiting: Job[] = [];
  readonly #threads: number;
  readonly #inline: TaskRunner | undefined;
  #closed = false;

  /** @param threads 0 runs tasks where they are asked for, for little data */
  constructor(context: StageContext, threads: number) {
    this.#context = context;
    this.#threads = threads;
    this.#inline = threads === 0 ? new TaskRunner(context) : undefined;
  }

  /** How many tasks are worth asking for at a time. */
  get width(): number {
    return this.#threads === 0 ? 1 : this.#threads + 1;
  }

  /** The threads that run now. */
  get threads(): readonly Worker[] {
    return [...this.#idle, ...this.#busy.keys()];
  }

  /** @throws SlipwayError of the task; DatasetTooLarge when it does not fit a thread's memory */
  run<T extends Task>(task: T): Promise<Results[T["type"]]> {
    if (this.#inline) return this.#inline.run(task);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, deaths: 0, resolve: resolve as Job["resolve"], reject });
      this.#next();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const threads = this.threads;
    for (const job of this.#waiting.splice(0)) job.reject(new Error("the pool is closed"));
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  #next(): void {
    while (this.#waiting.length > 0 && !this.#closed) {
      const thread = this.#idle.pop() ?? (this.#busy.size < this.#threads ? this.#start() : undefined);
      if (!thread) return;
      const job = this.#waiting.shift()!;
      this.#busy.set(thread, job);
      thread.postMessage({ id: 0, task: job.task });
    }
  }

  #start(): Worker {
    // The sources in a clone, the compiled file in an installation.
    const file = new URL(`./thread${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
    const thread = new Worker(file, {
      workerData: this.#context,
      // A small young generation: what a block leaves behind goes before the next is read.
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
    });
    let failure: unknown;
    thread.on("message", (answer: ThreadAnswer) => {
      const job = this.#busy.get(thread);
      if (!job) return;
      this.#busy.delete(thread);
      this.#idle.push(thread);
      if ("error" in answer) job.reject(revived(answer.error));
      else job.resolve(answer.result as never);
      this.#next();
    });
    thread.on("error", (error) => {
      failure = error;
    });
    thread.on("exit", () => {
      const job = this.#busy.get(thread);
      this.#busy.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
      if (job) this.#died(job, failure);
      this.#next();
    });
    return thread;
  }

  #died(job: Job, failure: unknown): void {
    if ((failure as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY") {
      job.reject(
        new SlipwayError(
          "DatasetTooLarge",
          `a few thousand rows need more than ${MAX_HEAP_MB} MiB of memory`,
          {
            cause: failure,
            hint: "leave out rows of many megabytes",
          },
        ),
      );
    } else if (failure !== undefined) job.reject(failure);
    else if (this.#closed || ++job.deaths > MAX_DEATHS)
      job.reject(new SlipwayError("WorkerLost", "a thread of the preparation ended", { retryable: true }));
    else this.#waiting.unshift(job);
  }
}

/** Errors lose their class on the way between threads. */
function revived({
  code,
  message,
  hint,
}: {
  code?: string;
  message: string;
  hint?: string | undefined;
}): Error {
  return code === undefined
    ? new Error(message)
    : new SlipwayError(code, message, hint === undefined ? {} : { hint });
}
