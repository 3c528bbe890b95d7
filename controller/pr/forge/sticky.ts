import type { Forge, ForgeComment } from "./forge.ts";
import { forgeError, isForgeError } from "./forge-error.ts";

/** A hidden line that says which comment this is; at the very start of the body. */
const MARKER = /^<!-- [A-Za-z0-9 ._:/()-]{1,120} -->$/;

export interface StickyPlan {
  /** The comment to keep; undefined when there is none yet. */
  readonly keep: ForgeComment | undefined;
  readonly update: boolean;
  /** Later ones of ours with the same marker. */
  readonly remove: readonly ForgeComment[];
}

export interface StickyResult {
  readonly action: "created" | "updated" | "unchanged";
  readonly comment: ForgeComment;
}

/**
 * What makes exactly one comment of it. Only comments by `login` count: anyone can write the marker, and
 * who owns the comment can change it later.
 * @param comments oldest first
 * @param body with the marker
 */
export function planStickyComment(
  comments: readonly ForgeComment[],
  marker: string,
  body: string,
  login: string,
): StickyPlan {
  const [keep, ...remove] = comments.filter(
    (comment) => comment.author.toLowerCase() === login.toLowerCase() && isMarked(comment, marker),
  );
  return { keep, update: keep !== undefined && normal(keep.body) !== normal(body), remove };
}

/**
 * Keeps exactly one comment of ours with this marker on a pull request: the oldest, changed only when the
 * body differs; duplicates (two processes, a create whose answer was lost) are deleted.
 * @param marker an HTML comment such as `<!-- slipway:report -->`, put before the body
 * @throws SlipwayError with a forge code; calling again continues where this stopped
 */
export async function upsertStickyComment(
  forge: Forge,
  number: number,
  marker: string,
  body: string,
  signal: AbortSignal,
): Promise<StickyResult> {
  if (!MARKER.test(marker)) throw new TypeError(`not a comment marker: ${marker}`);
  const full = `${marker}\n${body}`;
  if (full.length > forge.maxCommentLength) {
    throw forgeError("ForgeRejected", `takes ${forge.maxCommentLength} characters, this has ${full.length}`, {
      kind: forge.kind,
      call: `comment on ${forge.repository}#${number}`,
      hint: "Shorten the comment before it is sent.",
    });
  }

  const known = await forge.login(signal);
  const existing = await forge.listComments(number, signal);
  if (known !== undefined) {
    const plan = planStickyComment(existing, marker, full, known);
    if (plan.keep) return settle(forge, number, marker, full, known, existing, signal);
  }

  // None yet, or nobody knows which are ours: writing one tells.
  const created = await create(forge, number, full, existing, known, marker, signal);
  const after = await forge.listComments(number, signal);
  const settled = await settle(forge, number, marker, full, created.author, after, signal);
  return settled.comment.id === created.id ? { action: "created", comment: settled.comment } : settled;
}

/** A create whose answer was lost is looked up, so that it is not written twice. */
async function create(
  forge: Forge,
  number: number,
  body: string,
  before: readonly ForgeComment[],
  login: string | undefined,
  marker: string,
  signal: AbortSignal,
): Promise<ForgeComment> {
  try {
    return await forge.createComment(number, body, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (login === undefined || !isForgeError(error, "ForgeUnavailable")) throw error;
    const old = new Set(before.map((comment) => comment.id));
    const fresh = (await forge.listComments(number, signal)).filter((comment) => !old.has(comment.id));
    const { keep } = planStickyComment(fresh, marker, body, login);
    if (!keep) throw error;
    return keep;
  }
}

async function settle(
  forge: Forge,
  number: number,
  marker: string,
  body: string,
  login: string,
  comments: readonly ForgeComment[],
  signal: AbortSignal,
): Promise<StickyResult> {
  const plan = planStickyComment(comments, marker, body, login);
  for (const duplicate of plan.remove) await forge.deleteComment(number, duplicate.id, signal);
  if (!plan.keep) return { action: "created", comment: await forge.createComment(number, body, signal) };
  if (!plan.update) return { action: "unchanged", comment: plan.keep };
  try {
    return { action: "updated", comment: await forge.updateComment(number, plan.keep.id, body, signal) };
  } catch (error) {
    // Somebody deleted it meanwhile.
    if (!isForgeError(error, "ForgeNotFound")) throw error;
    return { action: "created", comment: await forge.createComment(number, body, signal) };
  }
}

function isMarked(comment: ForgeComment, marker: string): boolean {
  return (
    comment.body === marker ||
    comment.body.startsWith(`${marker}\n`) ||
    comment.body.startsWith(`${marker}\r`)
  );
}

/** Forges may change line endings and cut blank ends. */
function normal(body: string): string {
  return body.replaceAll("\r\n", "\n").trimEnd();
}
