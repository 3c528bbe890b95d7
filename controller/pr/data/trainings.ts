import type { FineTuneJobSpec } from "../../../schemas/fine-tune-job.ts";
import type { SideSummary } from "../../data/diff/types.ts";
import type { RevisionGraph } from "../../graph/graph.ts";

/** What training on a Dataset takes, as far as it can be told before. */
export interface PredictedTraining {
  /** The FineTuneJob. */
  readonly job: string;
  readonly rows: number;
  readonly steps: number;
  /** Of all steps together; as many as `tokensOf` thinks a row has. */
  readonly tokens: number;
}

/** The trainer's defaults (workers/trainer/slipway_trainer/spec.py). */
const DEFAULTS = { epochs: 1, batchSize: 4, gradientAccumulation: 1 } as const;

/** The FineTuneJobs that learn a Dataset, with the steps and tokens of one training. Nothing is said of its cost: a Job
 * on nodes of one's own has no price. */
export function trainingsOf(
  dataset: string,
  { splits }: SideSummary,
  graph: RevisionGraph,
): PredictedTraining[] {
  const found: PredictedTraining[] = [];
  for (const { kind, name, object } of graph.nodes.values()) {
    if (kind !== "FineTuneJob") continue;
    const { datasetRef, split, hyperparameters } = object.spec as FineTuneJobSpec;
    const { namespace } = datasetRef as { readonly namespace?: string };
    const learned = splits.find((each) => each.name === split);
    if (datasetRef.name !== dataset || namespace !== undefined || !learned) continue;
    const { epochs, batchSize, gradientAccumulation } = { ...DEFAULTS, ...hyperparameters };
    const perStep = batchSize * gradientAccumulation;
    const steps = hyperparameters.maxSteps ?? Math.ceil((learned.rows * epochs) / perStep);
    const perRow = learned.rows === 0 ? 0 : learned.tokens / learned.rows;
    found.push({ job: name, rows: learned.rows, steps, tokens: Math.round(perRow * steps * perStep) });
  }
  return found.sort((a, b) => (a.job < b.job ? -1 : 1));
}
