import type { EffectOutcome } from "../../runtime/kind.ts";

/** Which attempt of something repeated is wanted now, and how long until the next, ms. */
export function nextAttempt(
  outcome: EffectOutcome | undefined,
  everyMs: number,
  askNow: boolean,
  now: Date,
): { attempt: number; waitMs: number } {
  if (!outcome || outcome.state === "Running") return { attempt: outcome?.attempt ?? 1, waitMs: everyMs };
  // Measured from the start, so that a slow endpoint does not stretch the interval.
  const left = askNow ? 0 : Math.max(outcome.startedAt + everyMs, outcome.finishedAt ?? 0) - now.getTime();
  return left <= 0
    ? { attempt: outcome.attempt + 1, waitMs: everyMs }
    : { attempt: outcome.attempt, waitMs: Math.max(50, left) };
}
