import type { Condition } from "../../schemas/common.ts";

export type ConditionStatus = Condition["status"];

/** The API's limit on a condition's message. */
const MAX_MESSAGE = 32_768;

/** One condition. The engine fills in lastTransitionTime and observedGeneration. */
export function condition(type: string, status: ConditionStatus, reason: string, message: string): Condition {
  return { type, status, reason, message: message.slice(0, MAX_MESSAGE), lastTransitionTime: "" };
}

/*
 * The conditions that kstatus reads (sigs.k8s.io/cli-utils/pkg/kstatus): `Ready`, and the abnormal-true
 * `Reconciling` and `Stalled`, which are there only while they are True. So exactly one of the three sets
 * below is in a status; other conditions (Passing, DriftDetected) stand beside it.
 */

/** Reconciled as asked; kstatus: Current. */
export function ready(reason: string, message: string): Condition[] {
  return [condition("Ready", "True", reason, message)];
}

/** On its way, or waiting for something that will wake it; kstatus: InProgress. */
export function reconciling(reason: string, message: string): Condition[] {
  return [condition("Ready", "False", reason, message), condition("Reconciling", "True", reason, message)];
}

/** Needs a person: no retry will mend it; kstatus: Failed. */
export function stalled(reason: string, message: string): Condition[] {
  return [condition("Ready", "False", reason, message), condition("Stalled", "True", reason, message)];
}

/** `spec.suspend`: nobody looks, so nobody knows; kstatus: InProgress. */
export function suspended(): Condition[] {
  return [
    condition(
      "Ready",
      "Unknown",
      "Suspended",
      "spec.suspend is true: what runs keeps running, nothing is reconciled",
    ),
  ];
}

/** The condition types that the sets above decide. */
export const READINESS_TYPES: ReadonlySet<string> = new Set(["Ready", "Reconciling", "Stalled"]);
