import { type BucketTask, buckets } from "./near.ts";
import type { ParquetTask } from "./shards.ts";
import { Stage, type StageContext, type StageResult, type StageTask } from "./stage.ts";

export type Task =
  | ({ readonly type: "stage" } & StageTask)
  | ({ readonly type: "buckets" } & BucketTask)
  | ({ readonly type: "parquet" } & ParquetTask);

/** What each task comes to. */
export interface Results {
  stage: StageResult;
  buckets: Uint32Array;
  parquet: { digest: string; bytes: number };
}

/** Runs a task where it is. */
export class TaskRunner {
  readonly #context: StageContext;
  #stage: { number: number; compiled: Promise<Stage> } | undefined;

  constructor(context: StageContext) {
    this.#context = context;
  }

  async run<T extends Task>(task: T): Promise<Results[T["type"]]> {
    return (await this.#run(task)) as Results[T["type"]];
  }

  async #run(task: Task): Promise<Results[Task["type"]]> {
    switch (task.type) {
      case "buckets":
        return buckets(task);
      case "parquet": {
        // Loaded by those who write it: a thread is the sooner at work.
        const { writeParquet } = await import("./shards.ts");
        return writeParquet(task);
      }
      case "stage":
        if (this.#stage?.number !== task.stage)
          this.#stage = { number: task.stage, compiled: Stage.compile(this.#context, task.stage) };
        return (await this.#stage.compiled).run(task);
    }
  }
}

export type ThreadAnswer =
  | { readonly id: number; readonly result: unknown }
  | {
      readonly id: number;
      readonly error: {
        readonly code?: string;
        readonly message: string;
        readonly hint?: string | undefined;
      };
    };
