import type { EvalRun } from "../../schemas/eval-run.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { RunResult } from "../eval/result.ts";
import type { LoadError } from "../gitops/manifest.ts";
import type { Assessment } from "./assess.ts";
import type { CommitState } from "./forge/forge.ts";
import type { NotEvaluated, PlannedRun } from "./plan.ts";

/** A planned run and how far it is. */
export interface RunState {
  readonly planned: PlannedRun;
  readonly name: string;
  readonly run: EvalRun | undefined;
  /** The whole result, once there is one. */
  readonly result: RunResult | undefined;
}

export interface ObservedPullRequest {
  readonly assessment: Assessment;
  readonly runs: readonly RunState[];
  readonly notEvaluated: readonly NotEvaluated[];
  readonly onNotEvaluated: "Pass" | "Fail";
}

/** What the pull request comes to. */
export interface PullRequestVerdict {
  readonly state: CommitState;
  /** One line for the commit status. */
  readonly summary: string;
  /** False where there is nothing to say: the change touches nothing. */
  readonly report: boolean;
  /** Errors that the head has and the base has not. */
  readonly newErrors: readonly LoadError[];
}

/** Errors of the merge result that the base branch does not have already. */
export function newErrors({ base, head }: Assessment): LoadError[] {
  const known = new Set(base.errors.map(textOf));
  return (head?.errors ?? []).filter((error) => !known.has(textOf(error)));
}

const textOf = (error: LoadError) =>
  `${error.location.file}\0${error.location.field ?? ""}\0${error.message}`;

/** The commit status and whether to comment. Never leaves a required check hanging without a reason. */
export function verdictOf(observed: ObservedPullRequest): PullRequestVerdict {
  const { assessment, runs, notEvaluated } = observed;
  const faults = newErrors(assessment);
  const verdict = (state: CommitState, summary: string, report = true): PullRequestVerdict => ({
    state,
    summary,
    report,
    newErrors: faults,
  });
  if (assessment.conflicts.length > 0)
    return verdict("failure", `conflicts with the base branch in ${assessment.conflicts[0]}`);
  if (faults.length > 0) return verdict("failure", `${count(faults.length, "error")} in the manifests`);
  const { impact } = assessment;
  if (!impact || impact.changes.length === 0)
    return verdict("success", "nothing that Slipway manages changes", false);
  const running = runs.filter((state) => state.run?.status?.verdict === undefined);
  if (running.length > 0)
    return verdict("pending", `evaluating ${running.map((state) => state.planned.suite).join(", ")}`);
  const deciding = runs.filter((state) => state.planned.gating);
  const named = (wanted: string) =>
    deciding.filter((s) => s.run?.status?.verdict === wanted).map((s) => s.planned.suite);
  const failed = named("Fail");
  if (failed.length > 0) return verdict("failure", `${failed.join(", ")}: ${failureOf(deciding)}`);
  const errored = named("Error");
  if (errored.length > 0) return verdict("error", `${errored.join(", ")} could not be evaluated`);
  const inconclusive = named("Inconclusive");
  if (inconclusive.length > 0) return verdict("failure", `${inconclusive.join(", ")}: the cases cannot tell`);
  if (notEvaluated.length > 0) {
    const text = `${count(notEvaluated.length, "suite")} not evaluated: ${notEvaluated[0]?.reason}`;
    return verdict(observed.onNotEvaluated === "Fail" ? "failure" : "success", text);
  }
  if (runs.length === 0) return verdict("success", "no suite reaches what changes");
  return verdict("success", `${runs.map((state) => state.planned.suite).join(", ")} passed`);
}

function failureOf(runs: readonly RunState[]): string {
  const gates = runs.flatMap((state) => state.run?.status?.gates ?? []).filter((gate) => !gate.passed);
  const [gate] = gates;
  if (!gate) return "failed";
  const more = gates.length > 1 ? ` and ${gates.length - 1} more` : "";
  return `gate ${gate.name} ${gate.outcome === "Regressed" ? "regressed" : "not met"}${more}`;
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** The commit status's context. A status belongs to a commit, so the base branch is in its name. */
export const statusContext = (repository: { readonly spec: Pick<Repository["spec"], "branch"> }) =>
  `slipway/evals (${repository.spec.branch})`;
