import type { LoadError } from "../gitops/manifest.ts";
import type { Assessment } from "./assess.ts";
import { type DataState, newFault } from "./data/state.ts";
import { oneLine } from "./escape.ts";
import type { CommitState } from "./forge/forge.ts";
import { count } from "./format.ts";
import type { NotEvaluated } from "./plan.ts";
import { listed, type RunState, type Standing, standingOf, statements, suitesOf } from "./standing.ts";

export type { RunState } from "./standing.ts";

export interface ObservedPullRequest {
  readonly assessment: Assessment;
  readonly runs: readonly RunState[];
  readonly notEvaluated: readonly NotEvaluated[];
  readonly onNotEvaluated: "Pass" | "Fail";
  readonly data: readonly DataState[];
}

/** Why the commit status is as it is. */
export type VerdictReason =
  | "Conflict"
  | "InvalidManifests"
  | "NothingChanges"
  | "SettingsOnly"
  | "NotCovered"
  | "Failed"
  | "DataFault"
  | "Running"
  | "Error"
  | "AwaitingApproval"
  | "NotEvaluated"
  | "Inconclusive"
  | "DataCompared"
  | "Passed";

/** What the pull request comes to. */
export interface PullRequestVerdict {
  readonly state: CommitState;
  readonly reason: VerdictReason;
  /** One line for the commit status; the important part stands within GitHub's 140 characters. */
  readonly summary: string;
  /** False where there is nothing to say: the change touches nothing. */
  readonly report: boolean;
  /** Errors that the head has and the base has not. */
  readonly newErrors: readonly LoadError[];
}

/** Errors of the merge result that the base branch does not have already. */
export function newErrors({ base, head }: Assessment): LoadError[] {
  return notIn(base.errors, head?.errors ?? []);
}

/** Findings of the merge result that the base branch does not have already. */
export function newWarnings({ base, head }: Assessment): LoadError[] {
  return notIn(base.warnings, head?.warnings ?? []);
}

/** Lines move, so a finding is known by its file, field and words. */
function notIn(known: readonly LoadError[], found: readonly LoadError[]): LoadError[] {
  const texts = new Set(known.map(textOf));
  return found.filter((finding) => !texts.has(textOf(finding)));
}

const textOf = (error: LoadError) =>
  `${error.location.file}\0${error.location.field ?? ""}\0${error.message}`;

/**
 * The commit status and whether to comment. Only gating suites decide it; it is pending only while one of them runs
 * or waits for a person, and then says so.
 */
export function verdictOf(observed: ObservedPullRequest): PullRequestVerdict {
  const faults = newErrors(observed.assessment);
  const [state, reason, summary] = decide(observed, faults);
  return {
    state,
    reason,
    summary: oneLine(summary, 250),
    report: reason !== "NothingChanges",
    newErrors: faults,
  };
}

type Decided = readonly [state: CommitState, reason: VerdictReason, summary: string];

function decide(observed: ObservedPullRequest, faults: readonly LoadError[]): Decided {
  const { assessment, onNotEvaluated } = observed;
  const { conflicts, impact } = assessment;
  if (conflicts.length > 0)
    return ["failure", "Conflict", `conflicts with the base branch in ${listed(conflicts, 1)}`];
  if (faults.length > 0)
    return ["failure", "InvalidManifests", `${count(faults.length, "new error")} in the manifests`];
  if (!impact || impact.changes.length === 0)
    return ["success", "NothingChanges", "nothing that Slipway manages changes"];
  // Which prompt an application mounts is a setting of the prompt, and changes what it answers.
  if (impact.changes.every(({ change }) => change === "settings") && observed.notEvaluated.length === 0)
    return ["success", "SettingsOnly", "only settings change: answers stay the same"];

  const runs = observed.runs.filter(({ planned }) => planned.gating);
  const standing = (wanted: Standing) => runs.filter((state) => standingOf(state) === wanted);
  const failed = standing("Failed");
  if (failed.length > 0) return ["failure", "Failed", statements(failed)];
  for (const state of observed.data) {
    const fault = newFault(state);
    if (fault) return ["failure", "DataFault", `Dataset ${state.dataset}: ${fault.code}, ${fault.message}`];
  }
  const running = standing("Running");
  if (running.length > 0) return ["pending", "Running", `evaluating ${suitesOf(running)}`];
  const [comparing] = observed.data.filter(({ state }) => state === "Running");
  if (comparing) return ["pending", "Running", `comparing Dataset ${comparing.dataset}`];
  const errors = standing("Error");
  if (errors.length > 0) return ["error", "Error", statements(errors)];

  // A target that leaves its suite leaves nothing to evaluate; everything else is a question without an answer.
  const open = observed.notEvaluated.filter(({ gating, settled }) => gating && settled !== true);
  const unapproved = open.filter(({ reason }) => reason === "Fork");
  if (unapproved.length > 0)
    return [
      "pending",
      "AwaitingApproval",
      "a fork: someone with write access must allow it, see the comment",
    ];
  const fails = onNotEvaluated === "Fail" && open.length > 0;
  if (fails || (observed.runs.length === 0 && observed.notEvaluated.length > 0)) {
    const list = open.length > 0 ? open : observed.notEvaluated;
    const more = list.length > 1 ? ` and ${list.length - 1} more` : "";
    const summary = `${list[0]?.suite} was not evaluated (${list[0]?.reason})${more}`;
    return [fails ? "failure" : "success", "NotEvaluated", summary];
  }
  const left = open.length > 0 ? `; not evaluated: ${listed(open.map(({ suite }) => suite))}` : "";
  const inconclusive = standing("Inconclusive");
  if (inconclusive.length > 0) return ["success", "Inconclusive", statements(inconclusive) + left];
  if (runs.length > 0) return ["success", "Passed", statements(runs) + left];
  if (observed.runs.length > 0) return ["success", "NotCovered", "only advisory suites reach what changes"];
  const compared = observed.data.flatMap(rowsInShort);
  if (compared.length > 0) return ["success", "DataCompared", compared.join("; ")];
  return ["success", "NotCovered", "no suite reaches what changes"];
}

function rowsInShort(state: DataState): string[] {
  if (state.state !== "Compared") return [];
  const { rows, head } = state.diff;
  const left = head && "summary" in head ? head.summary.rows : undefined;
  if (rows)
    return [
      `Dataset ${state.dataset}: ${count(rows.added, "row")} added, ${rows.removed} removed, ${rows.changed} changed`,
    ];
  return [
    `Dataset ${state.dataset}: ${left === undefined ? "cannot be prepared, as before" : count(left, "row")}`,
  ];
}

/**
 * The commit status's context. A status belongs to a commit, so the base branch is in its name, and the folder where
 * Repositories share a branch. Two with the same folder, in two namespaces, still share one status: `spec.path` or
 * `pullRequests.enabled` must tell them apart.
 */
export function statusContext({
  spec: { branch, path = "" },
}: {
  readonly spec: { readonly branch: string; readonly path?: string };
}): string {
  return `slipway/evals (${branch}${path === "" ? "" : `: ${path}`})`;
}
