import type { Repository } from "../../../schemas/repository.ts";
import type { Assessment } from "../assess.ts";
import type { DataState } from "../data/state.ts";
import type { PullRequestVerdict } from "../decide.ts";
import type { PullRequest } from "../forge/forge.ts";
import type { EvaluationPlan } from "../plan.ts";
import type { RunState } from "../standing.ts";

export interface ReportInput {
  readonly repository: Repository;
  readonly pull: PullRequest;
  readonly assessment: Assessment;
  readonly plan: EvaluationPlan;
  readonly runs: readonly RunState[];
  /** The Datasets that the change touches. */
  readonly data: readonly DataState[];
  readonly verdict: PullRequestVerdict;
  /** Most characters of the comment. */
  readonly limit: number;
}

/** How much of a long list a report shows, and how much of a long text. */
export interface Detail {
  /** Sentences at the top. */
  readonly statements: number;
  /** Rows of a table that everybody sees. */
  readonly open: number;
  /** Rows more in the folded part. */
  readonly folded: number;
  readonly suites: number;
  /** Characters of an answer. */
  readonly text: number;
}

/** Tried one after the other until the report is short enough. */
export const DETAILS: readonly Detail[] = [
  { statements: 6, open: 5, folded: 60, suites: 12, text: 280 },
  { statements: 6, open: 5, folded: 20, suites: 6, text: 160 },
  { statements: 4, open: 3, folded: 5, suites: 3, text: 80 },
];
