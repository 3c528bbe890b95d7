/** Why a suite that the change touches is not run. */
export type NotEvaluatedReason =
  | "Fork"
  | "Invalid"
  | "Missing"
  | "Removed"
  | "Unresolved"
  | "HostNotAllowed"
  | "Suspended";

export interface NotEvaluated {
  readonly suite: string;
  /** Its verdict would decide the commit status. */
  readonly gating: boolean;
  readonly reason: NotEvaluatedReason;
  readonly message: string;
  /** Nothing is left that could be evaluated, so it never fails. */
  readonly settled?: boolean;
}
