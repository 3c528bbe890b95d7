import type { Condition } from "../../schemas/common.ts";
import type { EvalRun, GateResult } from "../../schemas/eval-run.ts";
import type { GateOutcome, RunResult } from "../eval/result.ts";
import { count, value } from "./format.ts";
import type { PlannedRun } from "./plan.ts";

/** A planned run and how far it is. */
export interface RunState {
  readonly planned: PlannedRun;
  readonly name: string;
  readonly run: EvalRun | undefined;
  /** The whole result, once there is one. */
  readonly result: RunResult | undefined;
}

/** What a run has come to. */
export type Standing = "Running" | "Passed" | "Inconclusive" | "Failed" | "Error";

/** A run that needs a person is an error: it would never finish by itself. */
export function standingOf({ run }: RunState): Standing {
  const status = run?.status;
  if (status?.verdict === undefined) return stuck(run) ? "Error" : "Running";
  if (status.verdict === "Error") return "Error";
  if (status.verdict === "Fail") return "Failed";
  if (status.verdict === "Pass") return "Passed";
  return (status.passed ?? gatesOf({ run, result: undefined }).every(({ passed }) => passed))
    ? "Inconclusive"
    : "Failed";
}

/** The condition that says why a run will not finish. */
export function stuck(run: EvalRun | undefined): Condition | undefined {
  return run?.status?.conditions?.find(({ type, status }) => type === "Stalled" && status === "True");
}

/** Why there is no verdict: from the result, or from the conditions where the run itself failed. */
export function troubleOf({ run, result }: Pick<RunState, "run" | "result">): {
  reason: string;
  message: string;
} {
  if (result) return { reason: result.reason, message: result.message };
  const condition = stuck(run) ?? run?.status?.conditions?.find(({ type }) => type === "Passing");
  return { reason: condition?.reason ?? "Error", message: condition?.message ?? "the EvalRun says no more" };
}

/** The gates of a run as far as they are known: the status has them without the statistics, and at most 64. */
export function gatesOf({ run, result }: Pick<RunState, "run" | "result">): readonly GateOutcome[] {
  return result?.gates ?? run?.status?.gates ?? [];
}

/** The first names of a list, and how many more there are. */
export function listed(names: readonly string[], limit = 3): string {
  const more = names.length - limit;
  return `${names.slice(0, limit).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export const suitesOf = (runs: readonly RunState[]): string =>
  listed(runs.map(({ planned }) => planned.suite));

/** The first run in a few words, and how many more there are. */
export function statements(runs: readonly RunState[]): string {
  const [first] = runs;
  if (!first) return "";
  const more = runs.length > 1 ? ` (and ${count(runs.length - 1, "more suite")})` : "";
  return `${first.planned.suite}: ${inShort(first)}${more}`;
}

function inShort(state: RunState): string {
  const standing = standingOf(state);
  if (standing === "Error") return `could not be evaluated (${troubleOf(state).reason})`;
  const critical = state.result?.critical ?? [];
  const gates = [...gatesOf(state)].sort(bySeverity);
  const [gate] = gates;
  if (standing === "Failed" && critical.length > 0 && gate?.passed !== false)
    return `${count(critical.length, "critical case")} failed: ${critical[0]?.id}`;
  if (!gate) return standing === "Failed" ? "failed" : "passed";
  const changed =
    gate.base === undefined
      ? value(gate.metric, gate.head)
      : `${value(gate.metric, gate.base)} → ${value(gate.metric, gate.head)}`;
  const others =
    gates.filter(({ outcome, passed }) => outcome === gate.outcome && passed === gate.passed).length - 1;
  return `${gate.metric} ${WORDS[gate.outcome]}, ${changed}${others > 0 ? ` (and ${count(others, "more gate")})` : ""}`;
}

const WORDS: Readonly<Record<GateResult["outcome"], string>> = {
  Regressed: "regressed",
  NotMet: "misses its limit",
  Inconclusive: "is inconclusive",
  NotEvaluated: "was not judged",
  Improved: "improved",
  WithinMargin: "within margin",
  Met: "keeps its limit",
};

const ORDER = Object.keys(WORDS);

/** What a reviewer must see first comes first: what fails, then what cannot be told, then the rest. */
export function bySeverity(a: GateOutcome, b: GateOutcome): number {
  return Number(a.passed) - Number(b.passed) || ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome);
}
