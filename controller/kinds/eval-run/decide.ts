import type { EvalRun, EvalRunStatus, GateResult, Verdict } from "../../../schemas/eval-run.ts";
import { ANNOTATION_REQUESTED_AT } from "../../../schemas/kind.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { condition, ready, reconciling } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { revisionFields } from "../types.ts";

export interface EvaluateInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly spec: EvalRun["spec"];
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

/** Tries after the first when the process, not the evaluation, failed. */
const MAX_ATTEMPTS = 3;

export function evaluateInput(run: EvalRun, serviceAccountName: string): EvaluateInput {
  return { namespace: run.metadata.namespace ?? "", serviceAccountName, spec: run.spec };
}

/** Runs one evaluation and keeps its verdict; an annotation slipway.dev/requestedAt runs it again. */
export function decide(observed: ObservedRun): Decision<EvalRunStatus> {
  const { run, evaluation } = observed;
  const before = run.status ?? {};
  const input = evaluateInput(run, observed.serviceAccountName);
  const requested = run.metadata.annotations?.[ANNOTATION_REQUESTED_AT];
  const again =
    requested !== undefined &&
    requested !== before.lastHandledRequestedAt &&
    evaluation?.finishedAt !== undefined;
  const retry =
    evaluation?.state === "Failed" &&
    evaluation.error?.retryable === true &&
    evaluation.attempt < MAX_ATTEMPTS;
  const attempt = (evaluation?.attempt ?? 1) + (again || retry ? 1 : 0);
  const request: EffectRequest = {
    name: "evaluate",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt,
    durable: true,
  };
  const identity = revisionFields(run.spec.head.revision);
  if (again || retry || !evaluation || evaluation.state === "Running") {
    const progress = evaluation?.progress as { done: number; total: number } | undefined;
    const text = progress ? `${progress.done}/${progress.total}` : "0";
    return {
      children: [],
      effects: [request],
      status: {
        ...identity,
        progress: text,
        ...(evaluation ? { startedAt: timestamp(evaluation.startedAt) } : {}),
        conditions: reconciling("Running", `${text} calls answered`),
      },
    };
  }
  const output = outcomeOf(evaluation);
  return {
    children: [],
    effects: [request],
    status: {
      ...identity,
      verdict: output.verdict,
      passed: output.passed,
      ...(output.score === undefined ? {} : { score: output.score }),
      progress: "done",
      startedAt: timestamp(evaluation.startedAt),
      ...(evaluation.finishedAt === undefined ? {} : { finishedAt: timestamp(evaluation.finishedAt) }),
      gates: [...output.gates],
      worst: [...output.worst],
      calls: output.calls,
      ...(output.result === "" ? {} : { result: output.result }),
      conditions: [...ready("Finished", output.message), passing(output)],
    },
    events: [
      {
        type: output.verdict === "Pass" ? "Normal" : "Warning",
        reason: `Evaluation${output.verdict}`,
        note: output.message,
      },
    ],
  };
}

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

const timestamp = (ms: number) => new Date(Math.floor(ms / 1000) * 1000).toISOString().replace(".000Z", "Z");
