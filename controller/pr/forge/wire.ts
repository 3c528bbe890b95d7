import { z } from "zod";
import type { ForgeComment, ForgeFile, Permission, PullRequest } from "./forge.ts";

/**
 * The parts of answers that Slipway reads. Gitea's API mirrors GitHub's here, so one schema serves both;
 * whatever else an answer holds is ignored.
 */

const user = z.object({ login: z.string() }).nullish();

const branch = z.object({
  ref: z.string(),
  sha: z.string(),
  label: z.string().nullish(),
  repo: z.object({ full_name: z.string() }).nullish(),
});

export const wirePullRequest = z.object({
  number: z.number().int().positive(),
  title: z.string(),
  user,
  state: z.enum(["open", "closed"]),
  merged_at: z.string().nullish(),
  draft: z.boolean().nullish(),
  mergeable: z.boolean().nullish(),
  base: branch,
  head: branch,
  labels: z.array(z.object({ name: z.string() })).nullish(),
  html_url: z.string(),
  updated_at: z.string(),
});
export type WirePullRequest = z.infer<typeof wirePullRequest>;

export const wireComment = z.object({
  id: z.number().int(),
  body: z.string().nullish(),
  user,
  created_at: z.string(),
  html_url: z.string(),
});
export type WireComment = z.infer<typeof wireComment>;

/** Both forges show a deleted account under this name. */
const DELETED_USER = "ghost";

/**
 * @param repository `owner/name` that the pull request is made against
 * @param headIsForeign the adapter knows that the head does not come from someone with write access
 */
export function toPullRequest(
  wire: WirePullRequest,
  repository: string,
  headIsForeign: boolean = false,
): PullRequest {
  const headRepository = wire.head.repo?.full_name;
  return {
    number: wire.number,
    title: wire.title,
    author: wire.user?.login ?? DELETED_USER,
    state: wire.state,
    merged: typeof wire.merged_at === "string",
    draft: wire.draft ?? false,
    baseBranch: wire.base.ref,
    baseSha: wire.base.sha,
    headBranch: wire.head.ref,
    headSha: wire.head.sha,
    headRepository,
    fork: headIsForeign || headRepository?.toLowerCase() !== repository.toLowerCase(),
    labels: (wire.labels ?? []).map((label) => label.name),
    url: wire.html_url,
    updatedAt: wire.updated_at,
  };
}

export function toComment(wire: WireComment): ForgeComment {
  return {
    id: String(wire.id),
    body: wire.body ?? "",
    author: wire.user?.login ?? DELETED_USER,
    createdAt: wire.created_at,
    url: wire.html_url,
  };
}

/** A file of the contents API; both forges give small ones in base64. */
export const wireFile = z.object({
  type: z.literal("file"),
  sha: z.string(),
  encoding: z.string().nullish(),
  content: z.string().nullish(),
});

/** Undefined for a file that is too large to be given, or that is no UTF-8 text. */
export function toFile({ sha, encoding, content }: z.infer<typeof wireFile>): ForgeFile | undefined {
  if (encoding !== "base64" || typeof content !== "string") return undefined;
  try {
    const bytes = Buffer.from(content, "base64");
    return { sha, content: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return undefined;
  }
}

export const toBase64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");

/** Oldest first; ids decide within one second. */
export function byAge(a: ForgeComment, b: ForgeComment): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || Number(a.id) - Number(b.id);
}

/** `owner` (Gitea) is admin; anything unknown is none, so that a new word never grants a right. */
export function toPermission(word: string): Permission {
  if (word === "owner" || word === "admin") return "admin";
  return word === "write" || word === "read" ? word : "none";
}

/** Cuts to `limit` UTF-16 units with an ellipsis, never inside a surrogate pair; line breaks become spaces. */
export function cutDescription(text: string, limit: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  if (line.length <= limit) return line;
  let cut = "";
  for (const character of line) {
    if (cut.length + character.length > limit - 1) break;
    cut += character;
  }
  return `${cut.trimEnd()}…`;
}
