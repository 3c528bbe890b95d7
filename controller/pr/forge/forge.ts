/**
 * What Slipway needs from a code forge. Adapters translate a vendor's API into this; nothing else in
 * the program knows which forge it talks to. Every call takes an AbortSignal and throws SlipwayError
 * with a code of forge-error.ts.
 */

export interface PullRequest {
  readonly number: number;
  readonly title: string;
  /** The login of who opened it. */
  readonly author: string;
  readonly state: "open" | "closed";
  readonly merged: boolean;
  readonly draft: boolean;
  readonly baseBranch: string;
  readonly baseSha: string;
  readonly headBranch: string;
  readonly headSha: string;
  /** `owner/name` of the repository the head lies in; undefined when it was deleted. */
  readonly headRepository: string | undefined;
  /** The head lies in another repository, or in one that is gone: treat it as untrusted. */
  readonly fork: boolean;
  readonly labels: readonly string[];
  /** The page a person opens. */
  readonly url: string;
  /** ISO 8601. */
  readonly updatedAt: string;
}

export type CommitState = "pending" | "success" | "failure" | "error";

export interface CommitStatus {
  readonly state: CommitState;
  readonly context: string;
  /** Cut by the adapter to the forge's limit (GitHub 140, Gitea 255 characters). */
  readonly description: string;
  readonly targetUrl?: string;
}

export interface ForgeComment {
  readonly id: string;
  readonly body: string;
  readonly author: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly url: string;
}

/** What a user may do with the repository; `write` and above may push. */
export type Permission = "none" | "read" | "write" | "admin";

export interface MergeOptions {
  readonly method: "merge" | "squash" | "rebase";
  /** The head that was reviewed; the forge refuses when the branch has moved on. */
  readonly sha: string;
}

export interface NewPullRequest {
  readonly title: string;
  readonly body: string;
  /** A branch of this repository, or `owner:branch` in a fork. */
  readonly head: string;
  readonly base: string;
}

/** A file as a branch has it. */
export interface ForgeFile {
  /** UTF-8. */
  readonly content: string;
  /** The blob's id: what a change of this very content names. */
  readonly sha: string;
}

export interface FileChange {
  readonly path: string;
  readonly branch: string;
  readonly content: string;
  /** Of the commit. */
  readonly message: string;
  /** What the file was; absent for a new one. The forge refuses when it has changed since. */
  readonly sha?: string;
}

export interface Forge {
  readonly kind: "Gitea" | "GitHub";
  /** `owner/name`. */
  readonly repository: string;
  /** In characters; a longer body is refused by the forge. */
  readonly maxCommentLength: number;

  /** The login that comments are written as; undefined when the credential does not say. */
  login(signal: AbortSignal): Promise<string | undefined>;
  listOpenPullRequests(signal: AbortSignal): Promise<PullRequest[]>;
  getPullRequest(number: number, signal: AbortSignal): Promise<PullRequest>;
  /** All pages, oldest first. */
  listComments(number: number, signal: AbortSignal): Promise<ForgeComment[]>;
  /** Never repeated by the adapter: after an unclear failure look for the comment before writing it again. */
  createComment(number: number, body: string, signal: AbortSignal): Promise<ForgeComment>;
  updateComment(number: number, commentId: string, body: string, signal: AbortSignal): Promise<ForgeComment>;
  /** A comment that is already gone is no error. */
  deleteComment(number: number, commentId: string, signal: AbortSignal): Promise<void>;
  /** The latest status of that context; undefined when there is none. */
  getCommitStatus(sha: string, context: string, signal: AbortSignal): Promise<CommitStatus | undefined>;
  setCommitStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void>;
  /** An unknown user has `none`. */
  permission(user: string, signal: AbortSignal): Promise<Permission>;
  /** Waits, for a bounded time, while the forge still computes whether the pull request can be merged. */
  mergePullRequest(number: number, options: MergeOptions, signal: AbortSignal): Promise<void>;
  /** Never repeated by the adapter: after an unclear failure look for its head among the open ones. */
  createPullRequest(request: NewPullRequest, signal: AbortSignal): Promise<PullRequest>;
  updatePullRequest(
    number: number,
    change: Pick<NewPullRequest, "title" | "body">,
    signal: AbortSignal,
  ): Promise<PullRequest>;
  /** The tip of a branch of this repository; undefined when there is no such branch. */
  branchTip(branch: string, signal: AbortSignal): Promise<string | undefined>;
  /** @param from the branch whose tip it begins at */
  createBranch(branch: string, from: string, signal: AbortSignal): Promise<void>;
  /** A branch that is already gone is no error. */
  deleteBranch(branch: string, signal: AbortSignal): Promise<void>;
  /** A file of at most 1 MiB; undefined when the branch has none at this path. */
  readFile(path: string, branch: string, signal: AbortSignal): Promise<ForgeFile | undefined>;
  /** One commit. Never repeated by the adapter: after an unclear failure read the file again. */
  writeFile(change: FileChange, signal: AbortSignal): Promise<void>;
}
