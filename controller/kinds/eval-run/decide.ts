import type { EvalRun, EvalRunStatus, GateResult, Verdict } from "../../../schemas/eval-run.ts";
import { ANNOTATION_REQUESTED_AT } from "../../../schemas/kind.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { condition, ready, reconciling } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { timestamp } from "../../runtime/status.ts";
import { revisionFields } from "../types.ts";

export interface EvaluateInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly spec: EvalRun["spec"];
  /** Answers that were given before are not used. */
  readonly answersSince?: string;
}

/** What the effect answers: the summary for the status; the whole result is a blob. */
export interface EvaluateOutput {
  readonly verdict: Verdict;
  /** Pass, or Inconclusive where the gates allow that. */
  readonly passed: boolean;
  readonly reason: string;
  readonly message: string;
  readonly score?: string;
  readonly gates: readonly GateResult[];
  readonly worst: readonly string[];
  readonly calls: { readonly made: number; readonly saved: number };
  readonly result: string;
}

export interface ObservedRun {
  readonly run: EvalRun;
  readonly serviceAccountName: string;
  readonly evaluation: EffectOutcome | undefined;
}

/** Attempts in all. Every request by annotation starts counting anew. */
const MAX_ATTEMPTS = 6;
/** When the process, not the evaluation, failed, this many attempts follow at once. */
const QUICK_ATTEMPTS = 3;
const FIRST_WAIT_MS = 300_000;

/**
 * Errors that asking again cannot mend, because they are in the run's own immutable spec; or must not, because the
 * budget is a limit that people set.
 */
const FINAL_REASONS = new Set([
  "BudgetExceeded",
  "InvalidSuite",
  "InvalidSpec",
  "InvalidAssertion",
  "UnknownFigure",
]);

export function evaluateInput(run: EvalRun, serviceAccountName: string): EvaluateInput {
  const { namespace = "", creationTimestamp } = run.metadata as {
    namespace?: string;
    creationTimestamp?: string;
  };
  // A replay asks what the model answers now. What the run itself was answered before a restart counts.
  const since =
    run.spec.trigger === "Monitor" && creationTimestamp !== undefined
      ? { answersSince: creationTimestamp }
      : {};
  return { namespace, serviceAccountName, spec: run.spec, ...since };
}

/**
 * Names the evaluation: the same spec is the same evaluation, until somebody asks for another with the annotation
 * slipway.dev/requestedAt. Not the ServiceAccount: a finished run stays what it was when its tenant changes.
 */
export function evaluateDigest(run: EvalRun): string {
  const asked =
    run.metadata.annotations?.[ANNOTATION_REQUESTED_AT]?.slice(0, 256) ?? run.status?.lastHandledRequestedAt;
  return digestOf(asked === undefined ? run.spec : [run.spec, asked]);
}

/**
 * Runs one evaluation and keeps its verdict. An Error is tried again after 5, 10, 20, 40 and 80 minutes, since what
 * was down may be up again; answers that came are cached, so only the rest is asked for.
 */
export function decide(observed: ObservedRun, now: Date): Decision<EvalRunStatus> {
  const { run, evaluation } = observed;
  const nextAt = evaluation && nextAttemptAt(evaluation);
  const again = nextAt !== undefined && nextAt <= now.getTime();
  const request: EffectRequest = {
    name: "evaluate",
    inputDigest: evaluateDigest(run),
    input: evaluateInput(run, observed.serviceAccountName) as unknown as Json,
    attempt: (evaluation?.attempt ?? 1) + (again ? 1 : 0),
    durable: true,
  };
  const decision = { children: [], effects: [request] };
  const identity = revisionFields(run.spec.head.revision);
  if (again || !evaluation || evaluation.state === "Running") {
    const progress = evaluation?.progress as { done: number; total: number } | undefined;
    const text = progress && !again ? `${progress.done}/${progress.total}` : "0";
    return {
      ...decision,
      status: {
        ...identity,
        progress: text,
        ...(evaluation && !again ? { startedAt: timestamp(new Date(evaluation.startedAt)) } : {}),
        conditions: reconciling("Running", `${text} calls answered`),
      },
    };
  }
  const output = outcomeOf(evaluation);
  const message =
    nextAt === undefined
      ? output.message
      : `${output.message}; tried again at ${timestamp(new Date(nextAt))}`;
  return {
    ...decision,
    status: {
      ...identity,
      verdict: output.verdict,
      passed: output.passed,
      ...(output.score === undefined ? {} : { score: output.score }),
      progress: "done",
      ...timesOf(evaluation, output, run.status),
      gates: [...output.gates],
      worst: [...output.worst],
      calls: output.calls,
      ...(output.result === "" ? {} : { result: output.result }),
      conditions: [...ready("Finished", message), passing({ ...output, message })],
    },
    ...(nextAt === undefined ? {} : { requeueAfterMs: Math.max(50, nextAt - now.getTime()) }),
    events: [
      {
        type: output.verdict === "Pass" ? "Normal" : "Warning",
        reason: `Evaluation${output.verdict}`,
        note: message,
      },
    ],
  };
}

/** When an evaluation that ended without a verdict is to be tried again, in ms since the epoch. */
function nextAttemptAt(evaluation: EffectOutcome): number | undefined {
  const { state, attempt, finishedAt = 0 } = evaluation;
  if (state === "Running" || attempt >= MAX_ATTEMPTS) return undefined;
  const wait = FIRST_WAIT_MS * 2 ** (attempt - 1);
  if (state === "Failed") {
    if (evaluation.error?.retryable !== true) return undefined;
    return attempt < QUICK_ATTEMPTS ? finishedAt : finishedAt + wait;
  }
  const { verdict, reason } = evaluation.output as unknown as EvaluateOutput;
  return verdict === "Error" && !FINAL_REASONS.has(reason) ? finishedAt + wait : undefined;
}

/**
 * When it began and ended. The intent log and the process that ran it read the clock a moment apart: what the status
 * says of this outcome already stays, so that a restart writes nothing.
 */
function timesOf(evaluation: EffectOutcome, output: EvaluateOutput, before: EvalRunStatus = {}) {
  const known =
    before.finishedAt !== undefined &&
    before.verdict === output.verdict &&
    (before.result ?? "") === output.result &&
    Math.abs(Date.parse(before.finishedAt) - (evaluation.finishedAt ?? 0)) < SAME_MOMENT_MS;
  if (known) {
    return {
      ...(before.startedAt === undefined ? {} : { startedAt: before.startedAt }),
      finishedAt: before.finishedAt,
    };
  }
  return {
    startedAt: timestamp(new Date(evaluation.startedAt)),
    ...(evaluation.finishedAt === undefined
      ? {}
      : { finishedAt: timestamp(new Date(evaluation.finishedAt)) }),
  };
}

const SAME_MOMENT_MS = 10_000;

function outcomeOf(evaluation: EffectOutcome): EvaluateOutput {
  if (evaluation.state === "Succeeded") return evaluation.output as unknown as EvaluateOutput;
  const { code, message } = evaluation.error ?? {
    code: "EvaluationFailed",
    message: "the evaluation did not finish",
  };
  return {
    verdict: "Error",
    passed: false,
    reason: code,
    message: `${code}: ${message}`,
    gates: [],
    worst: [],
    calls: { made: 0, saved: 0 },
    result: "",
  };
}

function passing({ verdict, reason, message }: EvaluateOutput) {
  const status = verdict === "Pass" ? "True" : verdict === "Fail" ? "False" : "Unknown";
  return condition("Passing", status, verdict === "Error" ? reason : verdict, message);
}
