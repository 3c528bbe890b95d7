import type { Forge, ForgeComment } from "./forge/forge.ts";

/** `/ok-to-test <sha>` on a line of its own, with at least ten digits of the commit. */
const COMMAND = /^\/ok-to-test\s+([0-9a-f]{10,64})\s*$/im;

/** Who vouched for exactly this head, among the comments. A push changes the head and so voids it. */
export function vouchers(comments: readonly ForgeComment[], headSha: string): string[] {
  return [
    ...new Set(
      comments
        .filter(({ body }) => {
          const sha = COMMAND.exec(body)?.[1];
          return sha !== undefined && headSha.startsWith(sha.toLowerCase());
        })
        .map(({ author }) => author),
    ),
  ];
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
