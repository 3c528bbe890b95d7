/** How long a key has to wait before it is tried again. */
export interface RateLimiter {
  /** Milliseconds; each call counts as one more failure. */
  next(key: string, now: number): number;
  forget(key: string): void;
  failures(key: string): number;
}

export interface RateLimits {
  readonly baseMs?: number;
  readonly maxMs?: number;
  readonly perSecond?: number;
  readonly burst?: number;
}

/**
 * client-go's DefaultTypedControllerRateLimiter: the longer of 5 ms·2^n per item (at most 1000 s) and a token
 * bucket over all items (10 a second, 100 at once), so that neither one bad object nor a thousand spin.
 */
export function controllerRateLimiter(limits: RateLimits = {}): RateLimiter {
  const { baseMs = 5, maxMs = 1_000_000, perSecond = 10, burst = 100 } = limits;
  const failures = new Map<string, number>();
  let tokens = burst;
  let last: number | undefined;

  /** golang.org/x/time/rate's Reserve: the bucket may go below zero, and the debt is the delay. */
  function reserve(now: number): number {
    if (last !== undefined) tokens = Math.min(burst, tokens + ((now - last) / 1000) * perSecond);
    last = now;
    tokens -= 1;
    return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
  }

  return {
    next(key, now) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      return Math.max(Math.min(maxMs, baseMs * 2 ** count), reserve(now));
    },
    forget: (key) => void failures.delete(key),
    failures: (key) => failures.get(key) ?? 0,
  };
}
