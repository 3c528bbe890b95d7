import type { GateResult, Verdict } from "../../schemas/eval-run.ts";
import type { PairedResult } from "./statistics/index.ts";

/** Everything that a run found out; JSON. Read by the report, the CLI and the EvalRun's status. */
export interface RunResult {
  readonly version: 1;
  readonly suite: { readonly name: string; readonly revision: string };
  readonly verdict: Verdict;
  /** Whether a merge may go on: Pass, or Inconclusive where every gate concerned allows that. */
  readonly passed: boolean;
  /** CamelCase: Passed, GateFailed, CriticalCaseFailed, Inconclusive, NotCompared, or the code of an error. */
  readonly reason: string;
  readonly message: string;
  readonly targets: readonly TargetResult[];
  /** Empty for the verdict Error. */
  readonly gates: readonly GateOutcome[];
  readonly critical: readonly CriticalFailure[];
  /** In the order of the suite, by target. */
  readonly cases: readonly CaseRow[];
  /** Keys (`target/id`) of at most ten cases that got worse, worst first; without a base, of those that failed. */
  readonly worst: readonly string[];
  readonly changes: { readonly improved: number; readonly regressed: number };
  readonly calls: Calls;
  /** Paid in this run, judge included; `total` is absent when one call's cost is unknown. */
  readonly spent: { readonly total?: string; readonly unknown: number };
  /** By code; what ended the run and what counted as a fail. */
  readonly errors: Readonly<Record<string, { readonly count: number; readonly message: string }>>;
  readonly seed: number;
  readonly startedAt: string;
  readonly durationMs: number;
}

export interface Calls {
  /** Requests sent, tries and judge included. */
  readonly made: number;
  /** Answers and grades needed that no request was sent for: saved before, or shared with the same request. */
  readonly saved: number;
  /** Requests sent again after a failure; part of `made`. */
  readonly retried: number;
}

export interface TargetResult {
  readonly name: string;
  readonly base?: SideResult;
  readonly head?: SideResult;
}

export interface SideResult {
  readonly prompt: { readonly name: string; readonly revision: string };
  readonly model: { readonly name: string; readonly revision: string };
  readonly cases: number;
  /** 0 to 1. */
  readonly passRate: number;
  readonly score: number;
  /** In ms. Saved answers count with the time that was measured when they were made. */
  readonly latency?: { readonly p50: number; readonly p95: number; readonly mean: number };
  /** US dollars for all cases; `total` and `perCase` are absent when one answer's cost is unknown. */
  readonly cost: { readonly total?: string; readonly perCase?: number; readonly unknown: number };
  readonly tokens: { readonly prompt: number; readonly completion: number };
  /** Answers that came from the cache. */
  readonly saved: number;
}

export interface GateOutcome extends GateResult {
  readonly method?: PairedResult["method"];
  /** Pairs and independent units compared. */
  readonly n?: number;
  readonly clusters?: number;
  readonly regressionPValue?: number;
  readonly detectableEffect?: number;
  readonly casesNeeded?: number;
}

export interface CriticalFailure {
  readonly target: string;
  readonly id: string;
  /** It failed on the base as well; it fails the run all the same. */
  readonly alsoOnBase: boolean;
}

export interface CaseRow {
  readonly id: string;
  readonly target: string;
  readonly critical?: true;
  readonly base?: CaseSide;
  readonly head?: CaseSide;
}

export interface CaseSide {
  /** More than half of the repeats passed. */
  readonly pass: boolean;
  /** 0 to 1, over repeats. */
  readonly passRate: number;
  readonly score: number;
  /**
   * Of the first repeat that failed, else of the first; at most 2,000 characters. Passing answers are left out beyond
   * 16 MiB of them.
   */
  readonly output?: string;
  readonly latencyMs?: number;
  /** US dollars a repeat; absent when unknown. */
  readonly cost?: number;
  readonly error?: { readonly code: string; readonly message: string };
  /** Assertions that the shown repeat failed. */
  readonly failed?: readonly { readonly type: string; readonly metric?: string; readonly reason: string }[];
}

/** The name of a case in `worst` and in reports. */
export function caseKey(row: { readonly target: string; readonly id: string }): string {
  return `${row.target}/${row.id}`;
}
