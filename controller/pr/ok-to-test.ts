import type { Forge, ForgeComment } from "./forge/forge.ts";

/**
 * `/ok-to-test <sha>` on a line of its own. All of the commit's digits: two commits that begin with the same ten
 * are made in seconds, one to be approved and one to be run.
 */
const COMMAND = /^\/ok-to-test[ \t]+([0-9a-f]{40}|[0-9a-f]{64})[ \t]*\r?$/gim;

/** What somebody with write access writes to have a fork's head evaluated. */
export const okToTest = (headSha: string): string => `/ok-to-test ${headSha}`;

/** Who vouched for exactly this head, among the comments. A push changes the head and so voids it. */
export function vouchers(comments: readonly ForgeComment[], headSha: string): string[] {
  const vouching = comments.filter(({ body }) =>
    body.matchAll(COMMAND).some(([, sha = ""]) => sha.toLowerCase() === headSha.toLowerCase()),
  );
  return [...new Set(vouching.map(({ author }) => author))];
}

/** True when somebody with write access vouched for this head of a fork. */
export async function isVouched(
  forge: Forge,
  number: number,
  headSha: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (const user of vouchers(await forge.listComments(number, signal), headSha)) {
    const permission = await forge.permission(user, signal);
    if (permission === "write" || permission === "admin") return true;
  }
  return false;
}
