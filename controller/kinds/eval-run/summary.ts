import type { RunResult } from "../../eval/result.ts";
import type { EvaluateOutput } from "./decide.ts";

/** The part of a result that fits into a status: well under 16 KiB whatever the suite's size. */
export function summarize(result: RunResult, digest: string): EvaluateOutput {
  const rates = result.targets.map(({ head }) => head?.passRate).filter((rate) => rate !== undefined);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
  return {
    verdict: result.verdict,
    passed: result.passed,
    reason: result.reason,
    message: result.message.slice(0, 1024),
    ...(result.verdict === "Error" || rates.length === 0 ? {} : { score: `${(mean * 100).toFixed(1)}%` }),
    gates: result.gates
      .slice(0, 64)
      .map(({ name, metric, target, base, head, delta, lower, upper, outcome, passed, message }) => ({
        name,
        metric,
        target,
        ...(base === undefined ? {} : { base }),
        ...(head === undefined ? {} : { head }),
        ...(delta === undefined ? {} : { delta }),
        ...(lower === undefined ? {} : { lower }),
        ...(upper === undefined ? {} : { upper }),
        outcome,
        passed,
        ...(message === undefined ? {} : { message: message.slice(0, 512) }),
      })),
    worst: result.worst.slice(0, 10).map((id) => id.slice(0, 256)),
    calls: { made: result.calls.made, saved: result.calls.saved },
    result: digest,
  };
}
