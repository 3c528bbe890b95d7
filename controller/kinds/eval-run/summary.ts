import type { GateResult } from "../../../schemas/eval-run.ts";
import type { GateOutcome, RunResult } from "../../eval/result.ts";
import type { EvaluateOutput } from "./decide.ts";

/** Limits of the schema. */
const MAX_GATES = 64;
const MAX_WORST = 10;
const MAX_FIGURE = 1e12;
/** Bytes of the gates' JSON, so that the whole status stays under 16 KiB: the message is in it twice. */
const MAX_GATE_BYTES = 8 * 1024;
const MAX_MESSAGE_BYTES = 1024;
const MAX_GATE_MESSAGE_BYTES = 256;
const MAX_WORST_BYTES = 256;

/**
 * The part of a result that fits into a status: well under 16 KiB whatever the suite's size. Of more gates than fit,
 * those that fail are kept first, then those that cannot tell; the result blob has them all.
 */
export function summarize(result: RunResult, digest: string): EvaluateOutput {
  const rates = result.targets.map(({ head }) => head?.passRate).filter((rate) => rate !== undefined);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
  return {
    verdict: result.verdict,
    passed: result.passed,
    reason: result.reason,
    message: clipped(result.message, MAX_MESSAGE_BYTES),
    ...(result.verdict === "Error" || rates.length === 0 ? {} : { score: `${(mean * 100).toFixed(1)}%` }),
    gates: fitting(result.gates).map(gateResult),
    worst: result.worst.slice(0, MAX_WORST).map((id) => clipped(id, MAX_WORST_BYTES)),
    calls: { made: result.calls.made, saved: result.calls.saved },
    result: digest,
  };
}

/** The gates that fit, in the suite's order. */
function fitting(gates: readonly GateOutcome[]): GateOutcome[] {
  const kept = new Set<GateOutcome>();
  let bytes = 0;
  for (const gate of gates.toSorted((a, b) => severity(a) - severity(b))) {
    bytes += Buffer.byteLength(JSON.stringify(gateResult(gate))) + 1;
    if (kept.size >= MAX_GATES || bytes > MAX_GATE_BYTES) break;
    kept.add(gate);
  }
  return gates.filter((gate) => kept.has(gate));
}

function severity({ passed, outcome }: GateOutcome): number {
  if (!passed) return 0;
  return outcome === "Inconclusive" || outcome === "NotEvaluated" ? 1 : 2;
}

function gateResult({ name, metric, target, outcome, passed, message, ...figures }: GateOutcome): GateResult {
  const { base, head, delta, lower, upper } = figures;
  const known = Object.entries({ base, head, delta, lower, upper }).filter(
    ([, value]) => value !== undefined && Number.isFinite(value) && Math.abs(value) <= MAX_FIGURE,
  );
  return {
    name,
    metric,
    target,
    ...Object.fromEntries(known),
    outcome,
    passed,
    ...(message === undefined ? {} : { message: clipped(message, MAX_GATE_MESSAGE_BYTES) }),
  };
}

/** At most so many bytes of JSON, not cut inside a character. */
function clipped(text: string, bytes: number): string {
  const size = (piece: string) => Buffer.byteLength(JSON.stringify(piece)) - 2;
  let cut = text.slice(0, bytes);
  while (size(cut) > bytes) cut = cut.slice(0, Math.max(0, cut.length - Math.ceil((size(cut) - bytes) / 6)));
  return cut.toWellFormed();
}
