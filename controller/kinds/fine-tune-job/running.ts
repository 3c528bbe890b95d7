import type { Condition } from "../../../schemas/common.ts";
import type { FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { reconciling, stalled, suspended } from "../../runtime/conditions.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import type { WorkReport } from "../../store/store.ts";
import { admitRequest } from "./effect-inputs.ts";
import { failed } from "./finished.ts";
import { childName, configMap, trainingJob, workClaim } from "./manifests.ts";
import { type FineTuneDecision, kept, none, type ObservedJob, sameTraining } from "./observed.ts";
import { jobState, latestPod, type Trouble } from "./pods.ts";
import { progressOf } from "./reports.ts";
import { type LaidOut, layOutRequest } from "./selection/request.ts";
import { isOutdated, type Training, wantedTraining } from "./training.ts";
import { troubleOf } from "./trouble.ts";

/** A failure that may pass is tried again after this. */
const RETRY_MS = 60_000;

/** Under way: its Job is made, and watched. */
export function running(
  observed: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  report: WorkReport | undefined,
  now: Date,
): FineTuneDecision {
  const { job, url } = observed;
  const name = childName(job, training);
  const work = observed.work(name);
  const pod = latestPod(work.pods);
  const progress = progressOf(report) ?? job.status?.progress;
  const current: FineTuneJobStatus = {
    ...status,
    ...(progress && sameTraining(job.status?.training, training) ? { progress } : {}),
    training: { ...training, job: name, ...(pod ? { pod: pod.metadata.name } : {}) },
  };
  const { final, passing } = troubleOf(report, pod, work.job);
  if (final) return failed(observed, current, current.training!, final);
  if (job.spec.suspend) return { ...none({ ...current, conditions: held() }), keep: kept(name, false) };
  if (url === undefined) {
    const message = "pods are not told where this controller is: start it with --work-url";
    return { ...none({ ...current, conditions: stalled("NoWorkUrl", message) }), keep: kept(name) };
  }
  const wanted = wantedTraining(observed);
  if (!work.job && "missing" in wanted) {
    const { reason, message } = wanted.missing;
    return { ...none({ ...current, conditions: reconciling(reason, message) }), keep: kept(name) };
  }
  const laying = work.job || training.selection ? undefined : layOutRequest(job, observed);
  if (laying) {
    const laid = observed.effect(laying);
    if (laid?.state === "Failed") return refused(current, laying, laid, now);
    if (laid?.state !== "Succeeded") {
      const conditions = reconciling("Starting", "the suite of spec.selection is laid out");
      const effects = [{ ...laying, attempt: laid?.attempt ?? 1 }];
      return { ...none({ ...current, conditions }), effects, keep: kept(name) };
    }
    // From here on it is a part of the training: what happens to the suite does not touch what runs.
    const withSuite = { ...training, selection: laid.output as unknown as LaidOut };
    return running(observed, status, withSuite, report, now);
  }
  const admission = admitRequest(observed, training, name);
  const admitted = observed.effect(admission);
  if (admitted?.state === "Failed" && !work.job) return refused(current, admission, admitted, now);
  const effects = [{ ...admission, attempt: admitted?.attempt ?? 1 }];
  // What runs is left as it is: a pod's template cannot be changed, and need not be.
  if (work.job || admitted?.state !== "Succeeded") {
    const conditions = work.job
      ? conditionsOfRun(progress, passing, work.job, pod)
      : reconciling("Starting", "its Secrets are checked");
    const children = work.job && !outdatedSpec(observed, training) ? [configMap(job, training, url)] : [];
    return { children, effects, keep: kept(name), status: { ...current, conditions } };
  }
  const claim = workClaim(job, training);
  return {
    children: [configMap(job, training, url), ...(claim ? [claim] : []), trainingJob(job, training)],
    effects,
    status: { ...current, conditions: reconciling("Starting", `Job ${name} is made`) },
    events: [{ type: "Normal", reason: "TrainingStarted", note: `Job ${name}` }],
  };
}

/** Whether the spec is not the one that this training was started with, so that its children cannot be written anew. */
function outdatedSpec(observed: ObservedJob, training: Training): boolean {
  const wanted = wantedTraining(observed);
  return "missing" in wanted || isOutdated(training, wanted);
}

function conditionsOfRun(
  progress: FineTuneJobStatus["progress"],
  trouble: Trouble | undefined,
  job: KubeObject,
  pod: KubeObject | undefined,
): Condition[] {
  if (trouble) return reconciling(trouble.reason, trouble.message);
  const { suspended: queued } = jobState(job);
  if (queued) return reconciling("Queued", "the Job is suspended: its queue has not admitted it yet");
  if (!pod) return reconciling("Starting", `Job ${job.metadata.name} has no pod yet`);
  if (!progress) return reconciling("Starting", `pod ${pod.metadata.name} starts`);
  const { phase, step, totalSteps, percent, etaSeconds } = progress;
  const left = etaSeconds === undefined ? "" : `, about ${etaSeconds} s left`;
  return reconciling(
    "Training",
    `${phase}: step ${step} of ${totalSteps} (${percent} %${left}) in pod ${pod.metadata.name}`,
  );
}

/** A Secret that it needs is missing or may not be sent there. */
function refused(
  status: FineTuneJobStatus,
  admission: EffectRequest,
  { error, attempt, finishedAt = 0 }: EffectOutcome,
  now: Date,
): FineTuneDecision {
  const { code, message } = error ?? { code: "AdmissionFailed", message: "its Secrets could not be checked" };
  const waitMs = finishedAt + RETRY_MS - now.getTime();
  return {
    children: [],
    effects: [{ ...admission, attempt: waitMs <= 0 ? attempt + 1 : attempt }],
    status: { ...status, conditions: error?.retryable ? reconciling(code, message) : stalled(code, message) },
    events: [{ type: "Warning", reason: code, note: message }],
    // Secrets are not watched, so nobody tells when it was mended.
    requeueAfterMs: Math.max(waitMs, 1),
  };
}

/** The conditions while spec.suspend is true. */
export function held(): Condition[] {
  const message =
    "spec.suspend is true: no training runs; one that ran goes on from its last checkpoint when it is false";
  return suspended().map((each) => ({ ...each, message }));
}
