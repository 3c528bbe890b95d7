import type { Assertion, GraderName } from "../../../schemas/eval-suite.ts";

/** What a judge model said. */
export interface Judgement {
  readonly pass: boolean;
  /** 0 to 1. */
  readonly score: number;
  readonly reason: string;
}

/** What is known about an answer beside its text. */
export interface GradeContext {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly expected?: unknown;
  readonly latencyMs?: number;
  /** US dollars; undefined when unknown. */
  readonly cost?: number;
  /** Asks the judge model whether `output` meets a rubric. A rejection means that there is no verdict. */
  readonly judge?: (rubric: string, output: string) => Promise<Judgement>;
}

/** One assertion as a grader sees it: the value's templates are filled in, `not-` is taken away. */
export interface GraderInput {
  readonly type: GraderName;
  readonly value: unknown;
  readonly threshold: number | undefined;
  readonly metric: string | undefined;
  readonly output: string;
  readonly context: GradeContext;
}

export interface Grade {
  readonly pass: boolean;
  readonly score: number;
  /** Completes "expected the answer …", e.g. `to contain "yes"`. */
  readonly expectation: string;
  /** What was found instead, where the answer itself does not show it. */
  readonly found?: string;
}

/** @throws SlipwayError InvalidAssertion when the assertion itself is wrong, whatever the answer */
export type Grader = (input: GraderInput) => Grade | Promise<Grade>;

/** The outcome of one assertion. */
export interface AssertionResult {
  readonly type: Assertion["type"];
  readonly pass: boolean;
  readonly score: number;
  readonly weight: number;
  readonly metric?: string;
  /** Why it failed; absent when it passed. */
  readonly reason?: string;
}
