import type { Condition } from "../../../schemas/common.ts";
import type { FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { condition, reconciling } from "../../runtime/conditions.ts";
import { requestedAt } from "../../runtime/status.ts";
import { revisionFields } from "../types.ts";
import { failed, stillThere, succeeded } from "./finished.ts";
import { advanceHosted, cancelFormer, isUnsubmitted, wasCancelled } from "./hosted/decide.ts";
import { childName } from "./manifests.ts";
import { type FineTuneDecision, none, type ObservedJob, sameTraining } from "./observed.ts";
import { resultOf } from "./reports.ts";
import { held, running } from "./running.ts";
import {
  chooseTraining,
  inputOf,
  isOutdated,
  type Training,
  type Wanted,
  wantedTraining,
} from "./training.ts";

export function decide(observed: ObservedJob, now: Date): FineTuneDecision {
  const { job, report, commit } = observed;
  const before = job.status ?? {};
  const wanted = wantedTraining(observed);
  const asked = requestedAt(job as unknown as KubeObject);
  const training = chooseTraining({
    former: before.training,
    wanted,
    onChange: job.spec.runPolicy.onChange,
    asked: asked !== undefined && asked !== before.lastHandledRequestedAt,
    hold: job.spec.suspend === true,
    idle: isIdle(observed, before.training, wanted),
    stored: !hasCondition(before.conditions, "Ready", "ArtifactMissing"),
    commit,
    report,
    cancelled: (input) => job.spec.backend === "openai" && wasCancelled(observed, input),
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
function isIdle(
  observed: ObservedJob,
  training: Training | undefined,
  wanted: Wanted | { missing: unknown },
): boolean {
  const { job, report, work } = observed;
  if (!training) return false;
  if (job.spec.backend === "openai")
    // Submitted again it would be what the spec says now, under the name of what it was made for.
    return "identity" in wanted && wanted.identity !== training.identity && isUnsubmitted(observed, training);
  return !report(inputOf(training)) || !work(childName(job, training)).job;
}

function hasCondition(conditions: readonly Condition[] | undefined, type: string, reason: string): boolean {
  return conditions?.some((each) => each.type === type && each.reason === reason) ?? false;
}

/** What was trained stays in the status until something else is: dependents go on with it. */
function keptFields({
  artifact,
  checkpoints,
  base,
  metrics,
  mlflow,
  model,
  revision,
  shortRevision,
}: FineTuneJobStatus): FineTuneJobStatus {
  return JSON.parse(
    JSON.stringify({ revision, shortRevision, artifact, checkpoints, base, metrics, mlflow, model }),
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
  if (training.state === "Succeeded" && status.artifact) return stillThere(observed, status);
  if (report?.state === "Succeeded") {
    const message = "the trainer reported success with a result that cannot be read; see its log";
    return failed(observed, status, training, { reason: "BadReport", message });
  }
  return running(observed, status, training, report, now);
}
