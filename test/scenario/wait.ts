import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions<T> {
  /** 30 s unless given. */
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** What to print of the last value when time is over; the value as JSON unless given. */
  readonly show?: (last: T) => unknown;
  /** Anything that helps to see why, added to the error. */
  readonly context?: () => string | Promise<string>;
  readonly signal?: AbortSignal;
}

/**
 * Asks until the answer is as wanted, and returns it. A probe that throws counts as "not yet".
 * @throws Error with what was awaited and the last answer or error
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  wanted: (value: T) => boolean,
  options: WaitOptions<T> = {},
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const until = performance.now() + timeoutMs;
  let last: { value: T } | { error: unknown } | undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const value = await probe();
      if (wanted(value)) return value;
      last = { value };
    } catch (error) {
      last = { error };
    }
    if (performance.now() >= until) break;
    await sleep(options.intervalMs ?? 100);
  }
  const shown =
    "value" in last
      ? JSON.stringify(options.show ? options.show(last.value) : last.value, null, 2)
      : String(last.error);
  const context = (await options.context?.()) ?? "";
  throw new Error(`after ${timeoutMs / 1000} s still waiting for: ${what}\nlast seen: ${shown}\n${context}`);
}
