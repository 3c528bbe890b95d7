import type { Dataset } from "../../../schemas/dataset.ts";
import type { FineTuneJob, FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import { digestOf } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { WorkReport } from "../../store/store.ts";
import { sharedKey, sharedObject } from "../shared-with.ts";
import { type Selectors, selectorRevisions } from "./selection/request.ts";

export type Training = NonNullable<FineTuneJobStatus["training"]>;

/** What the spec and its Dataset ask for now. */
export interface Wanted {
  readonly revision: string;
  /** The rows' artifact. */
  readonly dataset: string;
  /** The revision and the rows: what is the same is not trained twice. */
  readonly identity: string;
  /** What changes how, not what is trained. */
  readonly options: string;
}

export interface Missing {
  readonly reason: string;
  readonly message: string;
}

/** A FineTuneJob with what its spec names, as far as it is there. */
export interface Recipe extends Selectors {
  readonly job: FineTuneJob;
  readonly dataset: Dataset | undefined;
}

/** @returns what the training is made from, or what it waits for */
export function wantedTraining(recipe: Recipe): Wanted | { missing: Missing } {
  const { job, dataset } = recipe;
  const { datasetRef } = job.spec;
  const found = sharedObject("Dataset", datasetRef, job.metadata.namespace ?? "", dataset);
  if ("missing" in found) return found;
  const { artifact } = found.object.status ?? {};
  if (!artifact || !isReady(found.object))
    return {
      missing: { reason: "DatasetNotReady", message: `Dataset ${sharedKey(datasetRef)} is not Ready` },
    };
  const selectors = selectorRevisions(job, recipe);
  if ("missing" in selectors) return selectors as { missing: Missing };
  const revision = revisionOf(job as never, ({ kind }) =>
    kind === "Dataset" ? artifact.revision : selectors[kind],
  )!;
  const { pod, workVolume, mlflow, runPolicy, baseModel, openai } = job.spec;
  const { retries, timeout, queueName } = runPolicy;
  const { endpoint, secretRef } = baseModel;
  return {
    revision,
    dataset: artifact.digest,
    identity: digestOf({ revision, dataset: artifact.digest }),
    options: digestOf({
      pod,
      workVolume,
      mlflow,
      retries,
      timeout,
      queueName,
      endpoint,
      secretRef,
      openai,
    } as never),
  };
}

function isReady({ status, metadata }: Dataset): boolean {
  if (status?.observedGeneration !== metadata.generation) return false;
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
}

/** The key of a training's reports and the `input` of its token. */
export function inputOf({ identity, attempt }: Pick<Training, "identity" | "attempt">): string {
  return digestOf({ identity, attempt });
}

export interface Choice {
  readonly former: Training | undefined;
  readonly wanted: Wanted | { missing: Missing };
  readonly onChange: "Manual" | "Auto";
  /** A person asks by annotation, and was not heard yet. */
  readonly asked: boolean;
  /** True: nothing is started, `spec.suspend`. */
  readonly hold: boolean;
  /** Whether the former has not begun to work, or its Job has gone: there is nothing to lose. */
  readonly idle: boolean;
  /** Whether what was trained is still stored, as far as is known. */
  readonly stored: boolean;
  /** Where the object's Repository is. */
  readonly commit: string | undefined;
  readonly report: (input: string) => WorkReport | undefined;
  /** Whether the training with this input was cancelled at the provider. */
  readonly cancelled: (input: string) => boolean;
  readonly now: Date;
}

/**
 * The training to have now: the one that was started, or another. A training is left alone once it has started,
 * unless the policy says Auto or a person asks.
 * @returns undefined while the first one cannot start
 */
export function chooseTraining(choice: Choice): Training | undefined {
  const { former, wanted, onChange, asked, stored } = choice;
  if ("missing" in wanted || choice.hold) return former;
  if (!former) return startTraining(choice, wanted);
  const failed = former.state === "Failed" || (former.state === "Running" && choice.idle);
  if (former.identity === wanted.identity) {
    const otherOptions = former.options !== wanted.options && former.state !== "Succeeded";
    const again = otherOptions && (failed || asked || onChange === "Auto");
    return again || (asked && (former.state === "Failed" || !stored))
      ? startTraining(choice, wanted)
      : former;
  }
  return failed || asked || onChange === "Auto" ? startTraining(choice, wanted) : former;
}

/** Whether the training is of something else than what is asked for now. */
export function isOutdated(training: Training, wanted: Wanted): boolean {
  if (training.identity !== wanted.identity) return true;
  return training.state === "Running" && training.options !== wanted.options;
}

const MAX_ATTEMPTS = 1000;

function startTraining({ former, report, cancelled, commit, now }: Choice, wanted: Wanted): Training {
  const { identity } = wanted;
  const isOver = (input: string) => report(input)?.state === "Failed" || cancelled(input);
  let attempt = former?.identity === identity ? former.attempt + 1 : 1;
  // An attempt that was left behind is over; one that has succeeded is taken as it is.
  while (attempt < MAX_ATTEMPTS && isOver(inputOf({ identity, attempt }))) attempt++;
  const before = attempt > 1 ? report(inputOf({ identity, attempt: attempt - 1 })) : undefined;
  const resumeFrom = checkpointOf(before);
  return {
    ...wanted,
    ...(commit === undefined ? {} : { commit }),
    attempt,
    startedAt: now.toISOString(),
    state: "Running",
    ...(resumeFrom === undefined ? {} : { resumeFrom }),
  };
}

function checkpointOf(report: WorkReport | undefined): string | undefined {
  const { checkpoint } = (report?.progress ?? {}) as { checkpoint?: { digest?: unknown } };
  const found = checkpoint?.digest;
  return typeof found === "string" && /^sha256:[0-9a-f]{64}$/.test(found) ? found : undefined;
}
