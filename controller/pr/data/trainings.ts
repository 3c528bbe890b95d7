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
  /** US dollars; absent while nobody has written a price. */
  readonly cost?: number;
}

/** The trainer's defaults (workers/trainer/slipway_trainer/spec.py). */
const DEFAULTS = { epochs: 1, batchSize: 4, gradientAccumulation: 1 } as const;

/**
 * The FineTuneJobs that learn a Dataset, with the steps and tokens of one training. It has a cost where a provider
 * trains and its price is written; a Job on nodes of one's own has none.
 */
export function trainingsOf(
  dataset: string,
  { splits }: SideSummary,
  graph: RevisionGraph,
): PredictedTraining[] {
  const found: PredictedTraining[] = [];
  for (const { kind, name, object } of graph.nodes.values()) {
    if (kind !== "FineTuneJob") continue;
    const { datasetRef, split, hyperparameters, backend, openai } = object.spec as FineTuneJobSpec;
    const learned = splits.find((each) => each.name === split);
    if (datasetRef.name !== dataset || datasetRef.namespace !== undefined || !learned) continue;
    const { epochs, batchSize, gradientAccumulation } = { ...DEFAULTS, ...hyperparameters };
    const perStep = batchSize * gradientAccumulation;
    const steps = hyperparameters.maxSteps ?? Math.ceil((learned.rows * epochs) / perStep);
    const perRow = learned.rows === 0 ? 0 : learned.tokens / learned.rows;
    const tokens = Math.round(perRow * steps * perStep);
    const price = backend === "openai" ? openai?.pricePerMillionTrainedTokens : undefined;
    const cost = price === undefined ? {} : { cost: (tokens / 1_000_000) * Number(price) };
    found.push({ job: name, rows: learned.rows, steps, tokens, ...cost });
  }
  return found.sort((a, b) => (a.job < b.job ? -1 : 1));
}
