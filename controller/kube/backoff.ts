/**
 * Exponential backoff with jitter: `base * 2^attempt`, at most `max`, of which the upper half is random,
 * so that many clients that failed together do not come back together.
 * @param attempt 0 for the first wait
 * @param random a number in [0, 1)
 * @returns milliseconds
 */
export function backoffMs(attempt: number, base: number, max: number, random: number): number {
  const full = Math.min(max, base * 2 ** Math.min(attempt, 30));
  return Math.round(full / 2 + (full / 2) * random);
}
