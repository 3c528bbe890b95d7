import type { FineTuneJob, FineTuneJobStatus } from "../../../../schemas/fine-tune-job.ts";
import { ready, reconciling, stalled } from "../../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../../runtime/kind.ts";
import { plainText } from "../reports.ts";
import { inputOf, type Training } from "../training.ts";
import { cancelRequest, holdRequest, pollRequest, submitRequest } from "./inputs.ts";
import type { ProviderJob } from "./provider.ts";

export interface ObservedHosted {
  readonly job: FineTuneJob;
  readonly account: string;
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
}

type HostedDecision = Decision<FineTuneJobStatus>;

/** A running job is asked about this often. */
const POLL_MS = 30_000;
/** A failure that may pass, or a key that may be mended, is tried again after this. */
const RETRY_MS = 60_000;

/** What a person mends elsewhere, so that the training goes on without a change of its spec. */
const MENDED_ELSEWHERE =
  /^(Secret|HostNotAllowed|InvalidAllowedHosts|EmptyIdentity|Provider(Unauthorized|Unavailable|RateLimited))/;

/**
 * Before another training is started, the provider's job of the former is cancelled.
 * @returns undefined once nothing of it runs any more
 */
export function cancelFormer(
  observed: ObservedHosted,
  former: Training,
  status: FineTuneJobStatus,
  now: Date,
): HostedDecision | undefined {
  const request = cancelRequest(observed, inputOf(former));
  const outcome = observed.effect(request);
  if (outcome?.state === "Succeeded") return undefined;
  const before = { ...status, training: former };
  return waiting(
    before,
    request,
    outcome,
    "Cancelling",
    "the provider's job of the former training is cancelled",
    now,
  );
}

/** Whether the provider has not said that it has a job of this training; it may have one that it did not tell of. */
export function isUnsubmitted(observed: ObservedHosted, training: Training): boolean {
  const state = observed.effect(submitRequest(observed, training))?.state;
  return observed.job.status?.hosted === undefined && state !== "Running" && state !== "Succeeded";
}

/** Whether a job of the training with this input was cancelled by us: what is asked for again needs another. */
export function wasCancelled(observed: ObservedHosted, input: string): boolean {
  const outcome = observed.effect(cancelRequest(observed, input));
  return outcome?.state === "Succeeded" && (outcome.output as { cancelled: number }).cancelled > 0;
}

/** A training that a provider runs. */
export function advanceHosted(
  observed: ObservedHosted,
  status: FineTuneJobStatus,
  training: Training,
  now: Date,
): HostedDecision {
  const { job, effect } = observed;
  if (training.state === "Failed") {
    const { reason, message } = training.failure!;
    return {
      children: [],
      effects: [],
      status: { ...withHosted(status, job), conditions: stalled(reason, message) },
    };
  }
  if (training.state === "Succeeded" && job.status?.model) {
    const { model, hosted } = job.status;
    const known = { ...status, model, ...(hosted ? { hosted } : {}) };
    return {
      children: [],
      effects: [],
      status: { ...known, conditions: ready("Trained", `model ${model}`) },
    };
  }
  const submit = submitRequest(observed, training);
  const submitted = effect(submit);
  if (submitted?.state !== "Succeeded") {
    const said = typeof submitted?.progress === "string" ? submitted.progress : "the provider is asked";
    return waiting({ ...status, training }, submit, submitted, "Submitting", said, now);
  }
  const known = submitted.output as unknown as ProviderJob;
  return watched(observed, { ...status, training }, { ...submit, attempt: submitted.attempt }, known, now);
}

/** The job is made: ask how it is, until it is over. */
function watched(
  observed: ObservedHosted,
  status: FineTuneJobStatus,
  submit: EffectRequest,
  submitted: ProviderJob,
  now: Date,
): HostedDecision {
  const { job, effect } = observed;
  const poll = pollRequest(observed, submitted.id);
  const outcome = effect(poll);
  const before = job.status?.hosted?.id === submitted.id ? job.status.hosted : undefined;
  const seen = outcome?.state === "Succeeded" ? (outcome.output as unknown as ProviderJob) : undefined;
  const hosted = hostedOf(job, before, seen ?? { ...submitted, status: before?.state ?? submitted.status });
  const current = { ...status, hosted };
  const over = seen && ended(current, seen);
  if (over) return { children: [], effects: [submit], ...over };
  const dueMs = outcome?.finishedAt === undefined ? 0 : outcome.finishedAt + POLL_MS - now.getTime();
  const attempt = (outcome?.attempt ?? 0) + (outcome?.state === "Running" || (outcome && dueMs > 0) ? 0 : 1);
  const held = hold(observed, current, submitted.id);
  return {
    children: [],
    effects: [submit, { ...poll, attempt }, ...held.effects],
    status: held.status,
    ...(outcome?.state === "Running" ? {} : { requeueAfterMs: Math.max(dueMs, 1) }),
    ...(outcome?.state === "Failed"
      ? { status: { ...held.status, conditions: trouble(outcome.error) } }
      : {}),
  };
}

function trouble(error: EffectOutcome["error"]) {
  const { code, message } = error ?? {
    code: "ProviderUnavailable",
    message: "the provider could not be asked",
  };
  return reconciling(code, plainText(message));
}

/** What the provider's last word makes of the training. */
function ended(
  status: FineTuneJobStatus,
  job: ProviderJob,
): Pick<HostedDecision, "status" | "events"> | undefined {
  const training = status.training!;
  if (job.status === "succeeded" && job.model) {
    return {
      status: {
        ...status,
        model: job.model,
        training: { ...training, state: "Succeeded" },
        conditions: ready("Trained", `model ${job.model}`),
      },
      events: [{ type: "Normal", reason: "Trained", note: `model ${job.model}` }],
    };
  }
  if (!["failed", "cancelled", "succeeded"].includes(job.status)) return undefined;
  const failure =
    job.status === "cancelled"
      ? { reason: "Cancelled", message: `the provider's job ${job.id} was cancelled there` }
      : {
          reason: "ProviderFailed",
          message: `the provider's job ${job.id} has failed: ${job.error ?? "it does not say why"}`,
        };
  return {
    status: {
      ...status,
      training: { ...training, state: "Failed", failure },
      conditions: stalled(failure.reason, failure.message),
    },
    events: [{ type: "Warning", reason: failure.reason, note: failure.message.slice(0, 1000) }],
  };
}

/** `spec.suspend` pauses the provider's job, and its end resumes it. */
function hold(
  observed: ObservedHosted,
  status: FineTuneJobStatus,
  id: string,
): { effects: EffectRequest[]; status: FineTuneJobStatus } {
  const suspend = observed.job.spec.suspend === true;
  const hosted = status.hosted!;
  const { paused = false, ...rest } = hosted;
  const running = reconciling("Training", `the provider's job ${id} is ${hosted.state}`);
  const told = (message: string) => [
    { type: "Ready", status: "Unknown" as const, reason: "Suspended", message, lastTransitionTime: "" },
  ];
  if (suspend === paused) {
    const conditions = paused ? told(`the provider's job ${id} is paused`) : running;
    return { effects: [], status: { ...status, conditions } };
  }
  const request = holdRequest(observed, id, suspend ? "pause" : "resume");
  const outcome = observed.effect(request);
  const done = outcome?.state === "Succeeded";
  const now = done === suspend ? { ...rest, paused: true } : rest;
  const failed = outcome?.state === "Failed" ? `: ${plainText(outcome.error?.message ?? "")}` : "";
  const doing = suspend ? "is being paused" : "is being resumed";
  return {
    effects: [{ ...request, attempt: outcome?.attempt ?? 1 }],
    status: {
      ...status,
      hosted: now,
      conditions: suspend
        ? told(
            failed
              ? `the provider's job ${id} goes on, for it could not be paused${failed}`
              : `the provider's job ${id} ${done ? "is paused" : doing}`,
          )
        : failed
          ? reconciling("ProviderRejected", `the provider's job ${id} could not be resumed${failed}`)
          : running,
    },
  };
}

function hostedOf(
  { spec }: FineTuneJob,
  before: FineTuneJobStatus["hosted"],
  { id, status, trainedTokens }: ProviderJob,
): NonNullable<FineTuneJobStatus["hosted"]> {
  const price = spec.openai?.pricePerMillionTrainedTokens;
  const tokens = trainedTokens ?? before?.trainedTokens;
  return {
    id,
    state: status,
    ...(tokens === undefined ? {} : { trainedTokens: tokens }),
    ...(tokens === undefined || price === undefined
      ? {}
      : { cost: ((tokens * Number(price)) / 1_000_000).toFixed(4) }),
    ...(before?.paused ? { paused: true } : {}),
  };
}

function withHosted(status: FineTuneJobStatus, { status: before }: FineTuneJob): FineTuneJobStatus {
  return { ...status, ...(before?.hosted ? { hosted: before.hosted } : {}) };
}

/** An effect that has not succeeded: under way, tried again, or refused for good. */
function waiting(
  status: FineTuneJobStatus,
  request: EffectRequest,
  outcome: EffectOutcome | undefined,
  reason: string,
  message: string,
  now: Date,
): HostedDecision {
  if (outcome?.state !== "Failed") {
    const effects = [{ ...request, attempt: outcome?.attempt ?? 1 }];
    return { children: [], effects, status: { ...status, conditions: reconciling(reason, message) } };
  }
  const { code, message: why, retryable } = outcome.error!;
  const text = plainText(why);
  if (!retryable && !MENDED_ELSEWHERE.test(code)) {
    const training = {
      ...status.training!,
      state: "Failed" as const,
      failure: { reason: code, message: text },
    };
    return {
      children: [],
      effects: [],
      status: { ...status, training, conditions: stalled(code, text) },
      events: [{ type: "Warning", reason: code, note: text.slice(0, 1000) }],
    };
  }
  const waitMs = (outcome.finishedAt ?? 0) + RETRY_MS - now.getTime();
  return {
    children: [],
    effects: [{ ...request, attempt: waitMs <= 0 ? outcome.attempt + 1 : outcome.attempt }],
    status: { ...status, conditions: retryable ? reconciling(code, text) : stalled(code, text) },
    requeueAfterMs: Math.max(waitMs, 1),
  };
}
