import { sleep } from "../../kube/deadline.ts";

/**
 * Does something again and again while the work goes on, as a client does that knows nothing of it.
 * @param again its first error ends the work too
 * @param work is aborted by its signal when `again` has failed
 * @returns what the work gave, and how many times `again` was done
 */
export async function meanwhile<T>(
  again: () => Promise<unknown>,
  work: (signal: AbortSignal) => Promise<T>,
  { signal, pauseMs }: { readonly signal: AbortSignal; readonly pauseMs: number },
): Promise<{ readonly result: T; readonly times: number }> {
  const failed = new AbortController();
  let working = true;
  let times = 0;
  const repeat = async () => {
    while (working) {
      await again();
      times += 1;
      await sleep(pauseMs, signal);
    }
  };
  const [result] = await Promise.all([
    work(AbortSignal.any([signal, failed.signal])).finally(() => {
      working = false;
    }),
    repeat().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  ]);
  return { result, times };
}
