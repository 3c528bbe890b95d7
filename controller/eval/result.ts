import type { GateResult, Verdict } from "../../schemas/eval-run.ts";

/** Mean, median and 95th percentile over answers, in milliseconds. A cached answer counts with its first latency. */
export interface LatencySummary {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
}

/** US dollars as decimal text. What has no price is counted, never taken for 0. */
export interface CostSummary {
  /** Undefined when any answer's cost is unknown. */
  readonly total: string | undefined;
  readonly perCase: string | undefined;
  /** Answers without a known price. */
  readonly unknown: number;
}

export interface SideSummary {
  readonly cases: number;
  /** 0 to 1. */
  readonly passRate: number;
  readonly score: number;
  /** Means of named metrics. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly latency: LatencySummary | undefined;
  readonly cost: CostSummary;
  readonly tokens: { readonly prompt: number; readonly completion: number };
}

/** One case on one side; means over its repeats. */
export interface CaseSide {
  readonly pass: boolean;
  readonly score: number;
  /** The first repeat's answer, cut to 2,000 characters. Hostile text: neutralise before showing. */
  readonly output: string;
  readonly latencyMs?: number;
  /** US dollars. */
  readonly cost?: string;
  /** Why this side fails without an answer to grade. */
  readonly error?: { readonly code: string; readonly message: string };
  /** What the failed assertions said. */
  readonly failures: readonly string[];
}

export interface CaseRow {
  readonly id: string;
  readonly target: string;
  readonly critical: boolean;
  readonly base?: CaseSide;
  readonly head: CaseSide;
}

/** A gate as the status shows it, with what a statistician asks for. */
export interface GateReport extends GateResult {
  readonly method?: string;
  /** Smallest difference that this many cases would have found with 80 % power. */
  readonly detectableEffect?: number;
  /** Cases that an inconclusive gate would need. */
  readonly casesNeeded?: number;
}

/** Everything that one evaluation found; JSON. */
export interface RunResult {
  readonly verdict: Verdict;
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
  readonly targets: readonly { readonly name: string; readonly base?: SideSummary; readonly head: SideSummary }[];
  readonly gates: readonly GateReport[];
  readonly cases: readonly CaseRow[];
  /** `target/case` of at most ten cases that got worst, regressions and critical ones first. */
  readonly worst: readonly string[];
  /** Cases that pass on the head and not on the base. */
  readonly improved: number;
  readonly regressed: number;
  readonly calls: { readonly made: number; readonly saved: number; readonly retried: number };
  /** Calls that failed for good, by code. */
  readonly errors: Readonly<Record<string, number>>;
}
