import type { FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import { ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { EventNote } from "../../runtime/kind.ts";
import { type Choice, type VerifyOutput, verifyRequest } from "./effect-inputs.ts";
import { childName } from "./manifests.ts";
import { type FineTuneDecision, kept, type ObservedJob, sameTraining } from "./observed.ts";
import { jobState, latestPod, memoryDeath } from "./pods.ts";
import { finalProgress, plainText, type TrainingResult } from "./reports.ts";
import type { Training } from "./training.ts";

/** Over, and left until the spec changes or a person asks. */
export function failed(
  { job, work }: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  { reason, message }: { reason: string; message: string },
): FineTuneDecision {
  const name = childName(job, training);
  const { job: made, pods } = work(name);
  const pod = latestPod(pods);
  // Job and pods stay for whoever looks for the reason, unless the Job would try in vain again.
  const over = jobState(made).failed !== undefined || !(pod && memoryDeath(pod) !== undefined);
  const failure = { reason, message: plainText(message, 4096) };
  const progress = sameTraining(job.status?.training, training)
    ? (status.progress ?? job.status?.progress)
    : undefined;
  const first: EventNote[] =
    job.status?.training?.state === "Failed"
      ? []
      : [{ type: "Warning", reason, note: failure.message.slice(0, 1000) }];
  return {
    children: [],
    effects: [],
    keep: kept(name, over),
    status: {
      ...status,
      ...(progress ? { progress } : {}),
      training: { ...training, state: "Failed", failure },
      conditions: stalled(reason, failure.message),
    },
    events: first,
  };
}

/** Trained: what the pod says it stored is looked at before anybody relies on it. */
export function succeeded(
  observed: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  result: TrainingResult,
): FineTuneDecision {
  const { job, work } = observed;
  const name = childName(job, training);
  const { artifact, base, metrics, mlflow, candidates } = result;
  const { selection } = training;
  const step = candidates.find(({ digest }) => digest === artifact.digest)?.step;
  const pod = latestPod(work(name).pods);
  const done: FineTuneJobStatus = {
    ...status,
    progress: finalProgress(result),
    training: { ...training, state: "Succeeded", job: name, ...(pod ? { pod: pod.metadata.name } : {}) },
  };
  const published: FineTuneJobStatus = {
    ...done,
    artifact: { ...artifact, revision: training.revision, ...(step === undefined ? {} : { step }) },
    base,
    metrics: defined(metrics),
    ...(mlflow ? { mlflow: defined(mlflow) } : {}),
  };
  if (!mlflow) delete (published as { mlflow?: unknown }).mlflow;
  if (!selection) delete (published as { checkpoints?: unknown }).checkpoints;
  const choice = selection && { suite: selection.suite, candidates };
  return verified(observed, { ...artifact, ...(choice ? { choice } : {}) }, done, published);
}

/** Trained before, and the report is gone: what the status names is looked at. */
export function stillThere(observed: ObservedJob, status: FineTuneJobStatus): FineTuneDecision {
  const { digest, type } = status.artifact!;
  const progress = observed.job.status?.progress;
  const same = { ...status, ...(progress ? { progress } : {}) };
  return verified(observed, { digest, type }, same, same);
}

function verified(
  observed: ObservedJob,
  { digest, type, choice }: { digest: string; type: "adapter" | "model"; choice?: Choice },
  done: FineTuneJobStatus,
  published: FineTuneJobStatus,
): FineTuneDecision {
  const { job, effect } = observed;
  const isPublished = job.status?.artifact?.digest === digest;
  const request = verifyRequest({
    digest,
    type,
    known: isPublished,
    // Once it is published, the status has what was found.
    ...(choice && !isPublished ? { choice } : {}),
  });
  const outcome = effect(request);
  const decision = {
    children: [],
    effects: [{ ...request, attempt: outcome?.attempt ?? 1 }],
    keep: kept(childName(job, done.training!)),
  };
  if (outcome?.state === "Failed") {
    const { code, message } = outcome.error ?? { code: "ArtifactMissing", message: "it could not be read" };
    return {
      ...decision,
      status: { ...done, conditions: stalled(code, message) },
      events: [{ type: "Warning", reason: code, note: message }],
    };
  }
  // After a restart it is looked at again, while dependents go on.
  if (outcome?.state !== "Succeeded" && !isPublished)
    return {
      ...decision,
      status: { ...done, conditions: reconciling("Verifying", `the artifact ${digest} is looked at`) },
    };
  // Looking again takes nothing back of what was found.
  const former = isPublished ? job.status?.artifact?.rank : undefined;
  const { checkpoints, rank = former } = (outcome?.output ?? {}) as unknown as Partial<VerifyOutput>;
  return {
    ...decision,
    status: {
      ...published,
      artifact: { ...published.artifact!, ...(rank === undefined ? {} : { rank }) },
      ...(checkpoints ? { checkpoints: [...checkpoints] } : {}),
      conditions: ready("Trained", `${type} ${digest}`),
    },
    events: isPublished ? [] : [{ type: "Normal", reason: "Trained", note: `${type} ${digest}` }],
  };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
