import type { PullRequest } from "./forge/forge.ts";

/**
 * Fetches the base branch and the heads of pull requests at once. When that fails, the base alone and then each head
 * alone: one bad head (objects that git refuses, a ref that is gone) must not stop the others.
 * @returns the pull requests whose head could not be fetched, and why
 * @throws what fetching the base alone throws
 */
export async function fetchHeads(
  fetch: (refs: readonly string[]) => Promise<unknown>,
  base: string,
  pulls: readonly Pick<PullRequest, "number">[],
  signal: AbortSignal,
): Promise<Map<number, unknown>> {
  const unread = new Map<number, unknown>();
  try {
    await fetch([base, ...pulls.map(headRef)]);
    return unread;
  } catch {
    signal.throwIfAborted();
  }
  await fetch([base]);
  for (const pull of pulls) {
    try {
      await fetch([headRef(pull)]);
    } catch (error) {
      signal.throwIfAborted();
      unread.set(pull.number, error);
    }
  }
  return unread;
}

export const headRef = ({ number }: Pick<PullRequest, "number">): string => `refs/pull/${number}/head`;
