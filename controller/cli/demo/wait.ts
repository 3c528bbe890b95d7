import { SlipwayError } from "../../errors.ts";
import { sleep } from "../../kube/deadline.ts";

/**
 * Asks until the answer is there.
 * @param look answers undefined while there is nothing yet
 * @param what completes "waited 60 s for …"
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined>,
  options: { signal: AbortSignal; timeoutMs: number; everyMs?: number },
): Promise<T> {
  const end = performance.now() + options.timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() >= end) {
      throw new SlipwayError("Timeout", `waited ${Math.round(options.timeoutMs / 1000)} s for ${what}`);
    }
    await sleep(options.everyMs ?? 250, options.signal);
  }
}
