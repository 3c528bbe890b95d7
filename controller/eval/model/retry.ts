import { SlipwayError } from "../../errors.ts";
import { sleep } from "../../kube/deadline.ts";
import { ModelError } from "./types.ts";

export interface RetryPolicy {
  /** Tries after the first. */
  readonly maxRetries: number;
  /** No try starts later than this, in ms since the epoch. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Told before each wait. */
  readonly onRetry?: (error: SlipwayError, waitMs: number) => void;
  /** In [0, 1); `Math.random` unless given. */
  readonly random?: () => number;
}

const BASE_MS = 500;
const CAP_MS = 30_000;

/**
 * Tries again after failures that say they may pass, waiting exponentially longer with full jitter (Brooker,
 * "Exponential Backoff And Jitter", AWS 2015) and never shorter than the endpoint asked.
 * @throws what the last try threw
 */
export async function withRetries<T>(attempt: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      policy.signal.throwIfAborted();
      if (!(error instanceof SlipwayError) || !error.retryable || tries >= policy.maxRetries) throw error;
      const wait = waitAfter(tries, error, policy.random ?? Math.random);
      if (policy.now() + wait > policy.deadline) throw error;
      policy.onRetry?.(error, wait);
      await sleep(wait, policy.signal);
    }
  }
}

/** How long to wait after the given number of failed retries, in ms. */
export function waitAfter(tries: number, error: SlipwayError, random: () => number): number {
  const jitter = random() * Math.min(CAP_MS, BASE_MS * 2 ** tries);
  const asked = error instanceof ModelError ? error.retryAfterMs : undefined;
  // Also what was asked for is spread, or all that were turned away come back at once.
  return asked === undefined ? jitter : asked + random() * Math.min(BASE_MS, asked);
}
