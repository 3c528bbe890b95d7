import type { Condition } from "../../../schemas/common.ts";
import type { Dataset } from "../../../schemas/dataset.ts";
import type { FineTuneJob, FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { ConfigMap, Job, PersistentVolumeClaim } from "../../kube/resources.ts";
import { condition, ready, reconciling, stalled, suspended } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest, EventNote } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import type { WorkReport } from "../../store/store.ts";
import { revisionFields } from "../types.ts";
import { admitRequest, verifyRequest } from "./effect-inputs.ts";
import { advanceHosted, cancelFormer } from "./hosted/decide.ts";
import { childName, configMap, trainingJob, workClaim } from "./manifests.ts";
import { FINAL_CODES, jobState, latestPod, podTrouble, type Trouble, wasKilledForMemory } from "./pods.ts";
import { finalProgress, plainText, progressOf, resultOf, type TrainingResult } from "./reports.ts";
import {
  chooseTraining,
  inputOf,
  isOutdated,
  type Missing,
  type Training,
  type Wanted,
  wantedTraining,
} from "./training.ts";

export interface ObservedJob {
  readonly job: FineTuneJob;
  readonly dataset: Dataset | undefined;
  /** The controller as pods reach it. */
  readonly url: string | undefined;
  /** As which the object's Secrets are read. */
  readonly account: string;
  readonly commit: string | undefined;
  readonly report: (input: string) => WorkReport | undefined;
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
  /** What is in the cluster under a name. */
  readonly work: (name: string) => {
    readonly job: KubeObject | undefined;
    readonly pods: readonly KubeObject[];
  };
}

type FineTuneDecision = Decision<FineTuneJobStatus>;

/** A failure that may pass is tried again after this. */
const RETRY_MS = 60_000;

export function decide(observed: ObservedJob, now: Date): FineTuneDecision {
  const { job, dataset, report, commit } = observed;
  const before = job.status ?? {};
  const wanted = wantedTraining(job, dataset);
  const asked = requestedAt(job as unknown as KubeObject);
  const training = chooseTraining({
    former: before.training,
    wanted,
    onChange: job.spec.runPolicy.onChange,
    asked: asked !== undefined && asked !== before.lastHandledRequestedAt,
    hold: job.spec.suspend === true,
    idle: isIdle(observed, before.training),
    stored: !hasCondition(before.conditions, "Ready", "ArtifactMissing"),
    commit,
    report,
    now,
  });
  const known = keptFields(before);
  const revision = revisionFields("missing" in wanted ? before.revision : wanted.revision);
  if (!training && job.spec.suspend) return none({ ...known, conditions: held() });
  if (!training) {
    const { reason, message } = (wanted as { missing: { reason: string; message: string } }).missing;
    return none({ ...known, conditions: reconciling(reason, message) });
  }
  const base: FineTuneJobStatus = { ...known, ...revision, training };
  const decision =
    job.spec.backend === "openai"
      ? hosted(observed, base, training, now)
      : advance(observed, base, training, now);
  const { conditions = [] } = decision.status;
  return {
    ...decision,
    status: { ...decision.status, conditions: [...conditions, upToDate(training, wanted)] },
  };
}

function hosted(
  observed: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  now: Date,
): FineTuneDecision {
  const former = observed.job.status?.training;
  const replaced = former?.state === "Running" && !sameTraining(former, training);
  return (
    (replaced && cancelFormer(observed, former, status, now)) ||
    advanceHosted(observed, status, training, now)
  );
}

/** A training that has not said anything is not under way; neither is one whose Job is gone. */
function isIdle({ job, report, work }: ObservedJob, training: Training | undefined): boolean {
  if (!training || job.spec.backend === "openai") return false;
  return !report(inputOf(training)) || !work(childName(job, training)).job;
}

const none = (status: FineTuneJobStatus): FineTuneDecision => ({ children: [], effects: [], status });

function hasCondition(conditions: readonly Condition[] | undefined, type: string, reason: string): boolean {
  return conditions?.some((each) => each.type === type && each.reason === reason) ?? false;
}

/** What was trained stays in the status until something else is: dependents go on with it. */
function keptFields({
  artifact,
  base,
  metrics,
  mlflow,
  model,
  revision,
  shortRevision,
}: FineTuneJobStatus): FineTuneJobStatus {
  return JSON.parse(
    JSON.stringify({ revision, shortRevision, artifact, base, metrics, mlflow, model }),
  ) as FineTuneJobStatus;
}

function upToDate(
  training: Training,
  wanted: Wanted | { missing: { reason: string; message: string } },
): Condition {
  if ("missing" in wanted)
    return condition("UpToDate", "Unknown", wanted.missing.reason, wanted.missing.message);
  if (!isOutdated(training, wanted))
    return condition("UpToDate", "True", "Unchanged", "as the spec and its rows are");
  return condition(
    "UpToDate",
    "False",
    "Changed",
    "the spec or its rows have changed since this training was started: annotate with slipway.dev/requestedAt to train anew, or set spec.runPolicy.onChange: Auto",
  );
}

function advance(
  observed: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  now: Date,
): FineTuneDecision {
  const report = observed.report(inputOf(training));
  const result = report?.state === "Succeeded" ? resultOf(report) : undefined;
  if (result) return succeeded(observed, status, training, result);
  if (training.state === "Failed") return failed(observed, status, training, training.failure!);
  // The state folder was lost with the report; what the status says of this training still holds.
  if (training.state === "Succeeded" && status.artifact) return stillThere(observed, status, training);
  if (report?.state === "Succeeded") {
    const message = "the trainer reported success with a result that cannot be read; see its log";
    return failed(observed, status, training, { reason: "BadReport", message });
  }
  return running(observed, status, training, report, now);
}

function held(): Condition[] {
  const message =
    "spec.suspend is true: no training runs; one that ran goes on from its last checkpoint when it is false";
  return suspended().map((each) => ({ ...each, message }));
}

/** Under way: its Job is made, and watched. */
function running(
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
  const admission = admitRequest(observed, training, name);
  const admitted = observed.effect(admission);
  if (admitted?.state === "Failed" && !work.job) return refused(current, admission, admitted, now);
  const effects = [{ ...admission, attempt: admitted?.attempt ?? 1 }];
  if (!work.job && "missing" in wantedTraining(job, observed.dataset)) {
    const { missing } = wantedTraining(job, observed.dataset) as { missing: Missing };
    return {
      ...none({ ...current, conditions: reconciling(missing.reason, missing.message) }),
      keep: kept(name),
    };
  }
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

const sameTraining = (a: Training | undefined, b: Training) =>
  a?.identity === b.identity && a.attempt === b.attempt;

/** Whether the spec is not the one that this training was started with, so that its children cannot be written anew. */
function outdatedSpec({ job, dataset }: ObservedJob, training: Training): boolean {
  const wanted = wantedTraining(job, dataset);
  return "missing" in wanted || isOutdated(training, wanted);
}

function kept(name: string, withJob = true): FineTuneDecision["keep"] {
  const types = [ConfigMap, PersistentVolumeClaim, ...(withJob ? [Job] : [])];
  return types.map((type) => ({ type, name }));
}

/** What ended the training, and what only delays it. */
function troubleOf(
  report: WorkReport | undefined,
  pod: KubeObject | undefined,
  job: KubeObject | undefined,
): { final?: { reason: string; message: string }; passing?: Trouble } {
  const where = pod ? `pod ${pod.metadata.name}: ` : "";
  const told =
    report?.state === "Failed" && report.error
      ? {
          reason: reasonOf(report.error.code),
          message: `${where}${plainText(report.error.message)}`,
          final: FINAL_CODES.has(report.error.code),
        }
      : undefined;
  const seen = pod && podTrouble(pod);
  const trouble = told?.final ? told : (seen ?? told);
  if (trouble?.final) return { final: trouble };
  const { failed: failure, failures } = jobState(job);
  if (!failure) return trouble ? { passing: trouble } : {};
  if (failure.reason === "DeadlineExceeded") {
    const message = `${where}not done within spec.runPolicy.timeout; raise it and annotate with slipway.dev/requestedAt: the training goes on from its last checkpoint`;
    return { final: { reason: "DeadlineExceeded", message } };
  }
  return {
    final: {
      reason: trouble?.reason ?? "TrainerFailed",
      message: trouble
        ? `${trouble.message} (after ${failures} failed pods)`
        : `${where}the Job has failed (${failure.reason}): ${failure.message}`,
    },
  };
}

/** A pod's report is not trusted to name a reason: it must look like one. */
function reasonOf(code: string): string {
  return /^[A-Z][A-Za-z]{1,63}$/.test(code) ? code : "TrainerFailed";
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

/** Over, and left until the spec changes or a person asks. */
function failed(
  { job, work }: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  { reason, message }: { reason: string; message: string },
): FineTuneDecision {
  const name = childName(job, training);
  const { job: made, pods } = work(name);
  const pod = latestPod(pods);
  // Job and pods stay for whoever looks for the reason, unless the Job would try in vain again.
  const over = jobState(made).failed !== undefined || !(pod && wasKilledForMemory(pod));
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
function succeeded(
  observed: ObservedJob,
  status: FineTuneJobStatus,
  training: Training,
  result: TrainingResult,
): FineTuneDecision {
  const { job, work } = observed;
  const name = childName(job, training);
  const { artifact, base, metrics, mlflow } = result;
  const pod = latestPod(work(name).pods);
  const done: FineTuneJobStatus = {
    ...status,
    progress: finalProgress(result),
    training: { ...training, state: "Succeeded", job: name, ...(pod ? { pod: pod.metadata.name } : {}) },
  };
  const published: FineTuneJobStatus = {
    ...done,
    artifact: { ...artifact, revision: training.revision },
    base,
    metrics: defined(metrics),
    ...(mlflow ? { mlflow: defined(mlflow) } : {}),
  };
  if (!mlflow) delete (published as { mlflow?: unknown }).mlflow;
  return verified(observed, { name, digest: artifact.digest, type: artifact.type }, done, published);
}

function stillThere(observed: ObservedJob, status: FineTuneJobStatus, training: Training): FineTuneDecision {
  const { digest, type } = status.artifact!;
  const progress = observed.job.status?.progress;
  const same = { ...status, ...(progress ? { progress } : {}) };
  return verified(observed, { name: childName(observed.job, training), digest, type }, same, same);
}

function verified(
  observed: ObservedJob,
  { name, digest, type }: { name: string; digest: string; type: "adapter" | "model" },
  done: FineTuneJobStatus,
  published: FineTuneJobStatus,
): FineTuneDecision {
  const { job, effect } = observed;
  const isPublished = job.status?.artifact?.digest === digest;
  const request = verifyRequest(observed, digest, type, isPublished);
  const outcome = effect(request);
  const decision = {
    children: [],
    effects: [{ ...request, attempt: outcome?.attempt ?? 1 }],
    keep: kept(name),
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
  return {
    ...decision,
    status: { ...published, conditions: ready("Trained", `${type} ${digest}`) },
    events: isPublished ? [] : [{ type: "Normal", reason: "Trained", note: `${type} ${digest}` }],
  };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
