/** One case: the mean over its repeats on each side, or 0/1 for a single binary observation. */
export interface PairedUnit {
  readonly id: string;
  /** Cases that share a source (a document, a conversation) and so are not independent. */
  readonly cluster?: string;
  readonly base: number;
  readonly head: number;
}

export interface GateSpec {
  /** The loss that is tolerated, δ >= 0, in the metric's units. */
  readonly margin: number;
  /** False for latency and cost. */
  readonly higherIsBetter: boolean;
  /** One-sided error rate; 0.05 (a 90 % interval) unless given. */
  readonly alpha?: number;
  /** Each observation is 0 or 1. */
  readonly binary: boolean;
  /** Observations a case and side. */
  readonly repeats: number;
  /** Possible range of one observation, [0, 1] for scores; left out for latency and cost. */
  readonly bounds?: readonly [number, number];
  /** Makes the resampling reproducible; a non-negative integer. */
  readonly seed: number;
  /** Sign-flips drawn when there are too many to enumerate; 10,000 unless given. */
  readonly resamples?: number;
}

export type Outcome = "Improved" | "WithinMargin" | "Regressed" | "Inconclusive";

/** `delta`, `lower` and `upper` are head minus base whatever the direction of the metric; always finite. */
export interface PairedResult {
  readonly n: number;
  /** Independent units; equal to `n` where no cases share a cluster. */
  readonly clusters: number;
  readonly baseMean: number;
  readonly headMean: number;
  readonly delta: number;
  readonly lower: number;
  readonly upper: number;
  readonly outcome: Outcome;
  readonly method: "tango" | "sign-flip" | "student-t";
  /** One-sided, for "head is worse than base"; at most alpha exactly when the interval lies on that side of 0. */
  readonly regressionPValue: number;
  /** The true loss that this many cases show as a regression four times out of five. */
  readonly detectableEffect: number;
  /** For an Inconclusive verdict: cases with this spread that would settle it; absent when no number is known to. */
  readonly casesNeeded?: number;
}

/** A confidence interval with the one-sided p-value of "the mean is below 0" that it is the inversion of. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
  readonly lossPValue: number;
}
