/** Why a suite that the change touches is not run. */
export type NotEvaluatedReason =
  | "Fork"
  | "Invalid"
  | "Missing"
  | "Removed"
  | "Republished"
  | "Unresolved"
  | "HostNotAllowed"
  | "InCluster"
  | "Suspended";

export interface NotEvaluated {
  /** The suite, or `ConfigMap <name>` where it is about what a prompt publishes. */
  readonly suite: string;
  /** Its verdict would decide the commit status. */
  readonly gating: boolean;
  readonly reason: NotEvaluatedReason;
  readonly message: string;
  /** Nothing is left that could be evaluated, so it never fails. */
  readonly settled?: boolean;
}
