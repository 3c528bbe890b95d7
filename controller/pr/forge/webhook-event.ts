import { z } from "zod";
import type { Forge } from "./forge.ts";

export interface WebhookEvent {
  readonly forge: Forge["kind"];
  readonly event: "push" | "pull_request" | "issue_comment" | "ping" | "other";
  /** The forge's word, e.g. `opened`, `synchronize` (GitHub), `synchronized` (Gitea), `created`. */
  readonly action?: string;
  /** `owner/name`; undefined for events about no repository. */
  readonly repository?: string;
  /** Of a push to a branch; undefined for a tag. */
  readonly branch?: string;
  /** The pull request's number. */
  readonly number?: number;
  /** On a pull request; what it asks for must be read again from the forge before it is done. */
  readonly comment?: { readonly id: string; readonly author: string; readonly body: string };
  /** Empty when the forge sent none. */
  readonly deliveryId: string;
}

const number = z.number().int().positive();
const repository = z.object({ full_name: z.string().min(3).max(255) });
const action = z.string().max(64);

const anyPayload = z.object({ repository: repository.optional(), action: action.optional() });
const pushPayload = z.object({ ref: z.string().max(1024), repository });
const pullRequestPayload = z.object({ action, number, repository });
const commentPayload = z.object({
  action,
  repository,
  issue: z.object({ number, pull_request: z.unknown().optional() }),
  is_pull: z.boolean().optional(),
  comment: z.object({
    id: z.number().int(),
    body: z.string().nullish(),
    user: z.object({ login: z.string() }).nullish(),
  }),
});

/**
 * Translates a payload; never throws. What is of no interest, or not in the shape its name promises, is
 * `other`: a forge may add events, and the next poll catches up anyway.
 * @param name the event header
 */
export function toWebhookEvent(
  forge: Forge["kind"],
  name: string,
  deliveryId: string,
  payload: unknown,
): WebhookEvent {
  const known = anyPayload.safeParse(payload).data;
  const other: WebhookEvent = {
    forge,
    event: name === "ping" ? "ping" : "other",
    deliveryId,
    ...(known?.repository ? { repository: known.repository.full_name } : {}),
    ...(known?.action === undefined ? {} : { action: known.action }),
  };
  if (name === "push") {
    const push = pushPayload.safeParse(payload).data;
    const branch = push && /^refs\/heads\/(.+)$/s.exec(push.ref)?.[1];
    return push ? { ...other, event: "push", ...(branch === undefined ? {} : { branch }) } : other;
  }
  if (name === "pull_request") {
    const pull = pullRequestPayload.safeParse(payload).data;
    return pull ? { ...other, event: "pull_request", number: pull.number } : other;
  }
  if (name === "issue_comment") {
    const said = commentPayload.safeParse(payload).data;
    // GitHub marks a pull request's comment inside the issue, Gitea beside it.
    const onPull =
      said && (said.is_pull ?? (said.issue.pull_request !== undefined && said.issue.pull_request !== null));
    if (!said || !onPull) return other;
    const { id, body, user } = said.comment;
    return {
      ...other,
      event: "issue_comment",
      number: said.issue.number,
      comment: { id: String(id), author: user?.login ?? "ghost", body: body ?? "" },
    };
  }
  return other;
}
