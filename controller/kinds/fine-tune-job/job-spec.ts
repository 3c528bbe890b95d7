import type { FineTuneJob } from "../../../schemas/fine-tune-job.ts";
import type { Json } from "../../graph/canonical.ts";
import type { Training } from "./training.ts";

/** Where a volume with the base model is mounted. */
export const BASE_FOLDER = "/base";

/** The claim and the folder in it of `pvc://claim/folder`. */
export function claimOf(source: string): { claim: string; folder: string } | undefined {
  const [, claim, folder = ""] = /^pvc:\/\/([^/]+)(\/.*)?$/.exec(source) ?? [];
  return claim === undefined ? undefined : { claim, folder };
}

/** What the trainer reads (workers/trainer/README.md). */
export function jobSpec({ spec, metadata }: FineTuneJob, training: Training): Json {
  const { baseModel, split, validationSplit, method, adapter, framework, hyperparameters, mlflow } = spec;
  const { file, source } = baseModel;
  const claim = claimOf(source);
  return defined({
    framework,
    method,
    identity: training.identity,
    adapter,
    baseModel: defined({ source: claim ? `${BASE_FOLDER}${claim.folder}` : source, file }),
    dataset: defined({ digest: training.dataset, split, validationSplit }),
    hyperparameters,
    resumeFrom: training.resumeFrom,
    selection:
      training.selection &&
      defined({
        cases: training.selection.questions,
        maxTokens: training.selection.maxTokens,
        stop: training.selection.stop,
      }),
    mlflow: mlflow && {
      ...defined({
        trackingUri: mlflow.trackingUri,
        experiment: mlflow.experiment,
        registeredModel: mlflow.registeredModel,
        alias: mlflow.alias,
      }),
      tags: defined({
        "slipway.revision": training.revision,
        "slipway.object": `${metadata.namespace}/${metadata.name}`,
        "slipway.commit": training.commit,
      }),
    },
  }) as Json;
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<T>;
}
