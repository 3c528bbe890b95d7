import type { Verdict } from "../../schemas/eval-run.ts";
import type { CriticalFailure, GateOutcome } from "./result.ts";

export interface Judged {
  readonly verdict: Verdict;
  readonly passed: boolean;
  readonly reason: string;
  readonly message: string;
}

/**
 * - Fail: a gate failed, or a critical case failed in every repeat on the head (whether or not it failed on the base as
 *   well: critical means that nobody merges with it broken).
 * - Inconclusive: nothing failed, and at least one gate cannot tell but lets that pass (`onInconclusive: Pass`).
 * - Pass: everything else.
 */
export function judge(gates: readonly GateOutcome[], critical: readonly CriticalFailure[]): Judged {
  const failed = gates.filter(({ passed }) => !passed);
  const parts = [
    ...(critical.length > 0
      ? [`critical: ${list(critical.map(({ target, id }) => `${target}/${id}`))}`]
      : []),
    ...(failed.length > 0
      ? [`gates: ${list(failed.map((gate) => `${gate.name} on ${gate.target} ${gate.outcome}`))}`]
      : []),
  ];
  if (parts.length > 0) {
    const reason = critical.length > 0 ? "CriticalCaseFailed" : "GateFailed";
    return { verdict: "Fail", passed: false, reason, message: parts.join("; ") };
  }
  const open = gates.filter(({ outcome }) => outcome === "Inconclusive");
  if (open.length > 0) {
    const message = `too few cases to tell: ${list(open.map((gate) => `${gate.name} on ${gate.target}`))}`;
    return { verdict: "Inconclusive", passed: true, reason: "Inconclusive", message };
  }
  if (gates.length > 0 && gates.every(({ outcome }) => outcome === "NotEvaluated")) {
    return { verdict: "Pass", passed: true, reason: "NotCompared", message: gates[0]!.message ?? "" };
  }
  return { verdict: "Pass", passed: true, reason: "Passed", message: `all ${gates.length} gates hold` };
}

function list(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
}
