import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type {
  CommitState,
  CommitStatus,
  FileChange,
  Forge,
  ForgeComment,
  ForgeFile,
  MergeOptions,
  NewPullRequest,
  Permission,
  PullRequest,
} from "./forge.ts";
import { forgeError, isForgeError, unreadable } from "./forge-error.ts";
import { ForgeHttp, type HttpAnswer, type HttpOptions, type HttpRequest } from "./http.ts";
import {
  byAge,
  cutDescription,
  toBase64,
  toComment,
  toFile,
  toPermission,
  toPullRequest,
  type WirePullRequest,
  wireComment,
  wireFile,
  wirePullRequest,
} from "./wire.ts";

export interface GiteaOptions extends HttpOptions {
  /** `owner/name`. */
  readonly repository: string;
  /** Who the token belongs to, where the token may not read it (scope `read:user`). */
  readonly login?: string;
  /** At most the server's MAX_RESPONSE_ITEMS, 50 unless configured. */
  readonly pageSize?: number;
  /** How long to wait for Gitea to find out whether a pull request can be merged, milliseconds. */
  readonly mergeWait?: number;
}

/** More than this is not a list of open pull requests or comments but an error in paging. */
const MAX_PAGES = 1000;
const MERGE_POLL = 500;

const wireStatus = z.object({
  status: z.string(),
  context: z.string(),
  description: z.string().nullish(),
  target_url: z.string().nullish(),
  creator: z.object({ login: z.string() }).nullish(),
});
const wireCombinedStatus = z.object({ statuses: z.array(wireStatus).nullish() });

/** Gitea knows two states more; ours are never written with them. */
const STATES: Record<string, CommitState> = {
  pending: "pending",
  success: "success",
  failure: "failure",
  error: "error",
  warning: "failure",
  skipped: "success",
};

/** Gitea, and Forgejo where it kept the API; facts checked against Gitea 1.25. */
export class GiteaForge implements Forge {
  readonly kind = "Gitea";
  readonly repository: string;
  /** Gitea stores LONGTEXT and checks nothing; GitHub's limit keeps one report fit for both. */
  readonly maxCommentLength = 65_536;
  readonly #http: ForgeHttp;
  readonly #base: string;
  readonly #pageSize: number;
  readonly #mergeWait: number;
  #login: string | undefined;

  constructor(options: GiteaOptions) {
    this.repository = options.repository;
    this.#http = new ForgeHttp(options);
    this.#base = `/repos/${options.repository.split("/").map(encodeURIComponent).join("/")}`;
    this.#pageSize = options.pageSize ?? 50;
    this.#mergeWait = options.mergeWait ?? 60_000;
    this.#login = options.login;
  }

  async login(signal: AbortSignal): Promise<string | undefined> {
    if (this.#login !== undefined) return this.#login;
    try {
      const schema = z.object({ login: z.string() });
      this.#login = (await this.#read(schema, "/user", {}, signal)).login;
    } catch (error) {
      // A token without the scope read:user is fine; the first thing it writes tells its name.
      if (!isForgeError(error, "ForgeUnauthorized")) throw error;
    }
    return this.#login;
  }

  async listOpenPullRequests(signal: AbortSignal): Promise<PullRequest[]> {
    const path = `${this.#base}/pulls`;
    const found = await this.#pages(
      z.array(wirePullRequest),
      path,
      { state: "open", sort: "oldest" },
      signal,
    );
    return found.map((wire) => this.#pullRequest(wire));
  }

  async getPullRequest(number: number, signal: AbortSignal): Promise<PullRequest> {
    return this.#pullRequest(await this.#read(wirePullRequest, `${this.#base}/pulls/${number}`, {}, signal));
  }

  async listComments(number: number, signal: AbortSignal): Promise<ForgeComment[]> {
    const path = `${this.#base}/issues/${number}/comments`;
    const exists = () => this.getPullRequest(number, signal);
    const found = await this.#pages(z.array(wireComment), path, {}, signal, exists);
    return found.map(toComment).sort(byAge);
  }

  async createComment(number: number, body: string, signal: AbortSignal): Promise<ForgeComment> {
    const path = `${this.#base}/issues/${number}/comments`;
    const exists = () => this.getPullRequest(number, signal);
    const send = { method: "POST", path, body: { body }, repeatable: false, exists } as const;
    const answer = await this.#send(send, signal);
    const comment = toComment(this.#parse(wireComment, answer, `POST ${path}`));
    this.#login ??= comment.author;
    return comment;
  }

  async updateComment(
    _number: number,
    commentId: string,
    body: string,
    signal: AbortSignal,
  ): Promise<ForgeComment> {
    const path = this.#commentPath(commentId);
    const answer = await this.#send({ method: "PATCH", path, body: { body }, repeatable: true }, signal);
    return toComment(this.#parse(wireComment, answer, `PATCH ${path}`));
  }

  async deleteComment(_number: number, commentId: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#send({ method: "DELETE", path: this.#commentPath(commentId), repeatable: true }, signal);
    } catch (error) {
      if (!isForgeError(error, "ForgeNotFound")) throw error;
    }
  }

  async getCommitStatus(
    sha: string,
    context: string,
    signal: AbortSignal,
  ): Promise<CommitStatus | undefined> {
    const path = `${this.#base}/commits/${encodeURIComponent(sha)}/status`;
    for (let page = 1, seen = 0; page <= MAX_PAGES; page++) {
      const query = { page, limit: this.#pageSize };
      const answer = await this.#send({ method: "GET", path, query, repeatable: true }, signal);
      const statuses = this.#parse(wireCombinedStatus, answer, `GET ${path}`).statuses ?? [];
      seen += statuses.length;
      const found = statuses.find((status) => status.context === context);
      if (found) {
        return {
          state: STATES[found.status] ?? "error",
          context,
          description: found.description ?? "",
          ...(found.target_url ? { targetUrl: found.target_url } : {}),
        };
      }
      if (statuses.length === 0 || seen >= totalCount(answer)) return undefined;
    }
    throw this.#endless(path);
  }

  async setCommitStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void> {
    const path = `${this.#base}/statuses/${encodeURIComponent(sha)}`;
    const body = {
      state: status.state,
      context: status.context,
      description: cutDescription(status.description, 255),
      target_url: status.targetUrl ?? "",
    };
    // The latest of a context counts, so writing it twice changes nothing.
    const exists = () => this.getCommitStatus(sha, status.context, signal);
    const answer = await this.#send({ method: "POST", path, body, repeatable: true, exists }, signal);
    this.#login ??= this.#parse(wireStatus, answer, `POST ${path}`).creator?.login;
  }

  async permission(user: string, signal: AbortSignal): Promise<Permission> {
    const path = `${this.#base}/collaborators/${encodeURIComponent(user)}/permission`;
    try {
      const schema = z.object({ permission: z.string() });
      return toPermission((await this.#read(schema, path, {}, signal)).permission);
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return "none";
      if (!isForgeError(error, "ForgeUnauthorized")) throw error;
      throw forgeError("ForgeUnauthorized", "does not say what others may do", {
        kind: this.kind,
        call: `GET ${path}`,
        hint: "Gitea tells it to administrators of the repository only: make the token's user one.",
      });
    }
  }

  async mergePullRequest(number: number, options: MergeOptions, signal: AbortSignal): Promise<void> {
    const path = `${this.#base}/pulls/${number}/merge`;
    const body = { Do: options.method, head_commit_id: options.sha };
    const until = Date.now() + this.#mergeWait;
    for (;;) {
      try {
        await this.#send({ method: "POST", path, body, repeatable: false }, signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        const now = await this.getPullRequest(number, signal);
        // An answer that got lost, or an earlier attempt of ours.
        if (now.merged && now.headSha === options.sha) return;
        // Gitea computes mergeability in the background and says so in these words.
        const early = isForgeError(error, "ForgeRejected") && error.message.includes("try again later");
        if (!early || Date.now() >= until) throw error;
      }
      await sleep(MERGE_POLL, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async createPullRequest(request: NewPullRequest, signal: AbortSignal): Promise<PullRequest> {
    const path = `${this.#base}/pulls`;
    const { title, body, head, base } = request;
    const send = { method: "POST", path, body: { title, body, head, base }, repeatable: false } as const;
    const answer = await this.#send(send, signal);
    return this.#pullRequest(this.#parse(wirePullRequest, answer, `POST ${path}`));
  }

  async updatePullRequest(
    number: number,
    { title, body }: Pick<NewPullRequest, "title" | "body">,
    signal: AbortSignal,
  ): Promise<PullRequest> {
    const path = `${this.#base}/pulls/${number}`;
    const send = { method: "PATCH", path, body: { title, body }, repeatable: true } as const;
    return this.#pullRequest(this.#parse(wirePullRequest, await this.#send(send, signal), `PATCH ${path}`));
  }

  async branchTip(branch: string, signal: AbortSignal): Promise<string | undefined> {
    const schema = z.object({ commit: z.object({ id: z.string() }) });
    try {
      return (await this.#read(schema, this.#branchPath(branch), {}, signal)).commit.id;
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
  }

  async createBranch(branch: string, from: string, signal: AbortSignal): Promise<void> {
    const path = `${this.#base}/branches`;
    const body = { new_branch_name: branch, old_ref_name: from };
    // Gitea (1.25) answers 500 for a branch to begin at that is not there.
    const exists = () => this.#read(z.unknown(), this.#branchPath(from), {}, signal);
    await this.#send({ method: "POST", path, body, repeatable: false, exists }, signal);
  }

  async deleteBranch(branch: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#send({ method: "DELETE", path: this.#branchPath(branch), repeatable: true }, signal);
    } catch (error) {
      if (!isForgeError(error, "ForgeNotFound")) throw error;
    }
  }

  async readFile(path: string, branch: string, signal: AbortSignal): Promise<ForgeFile | undefined> {
    const place = this.#contentsPath(path);
    let wire: z.infer<typeof wireFile>;
    try {
      wire = await this.#read(wireFile, place, { ref: branch }, signal);
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
    return toFile(wire) ?? unreadable(this.kind, `GET ${place}`);
  }

  async writeFile({ path, branch, content, message, sha }: FileChange, signal: AbortSignal): Promise<void> {
    await this.#send(
      {
        method: sha === undefined ? "POST" : "PUT",
        path: this.#contentsPath(path),
        body: { branch, content: toBase64(content), message, ...(sha === undefined ? {} : { sha }) },
        repeatable: false,
      },
      signal,
    );
  }

  /**
   * A pull request pushed to `refs/for/` (AGit) has its head in this very repository, yet anyone who can
   * read the repository can make one. Gitea leaves its label empty; it counts as a fork.
   */
  #pullRequest(wire: WirePullRequest): PullRequest {
    return toPullRequest(wire, this.repository, !wire.head.label);
  }

  #branchPath(branch: string): string {
    return `${this.#base}/branches/${branch.split("/").map(encodeURIComponent).join("/")}`;
  }

  #contentsPath(path: string): string {
    return `${this.#base}/contents/${path.split("/").map(encodeURIComponent).join("/")}`;
  }

  #commentPath(commentId: string): string {
    return `${this.#base}/issues/comments/${encodeURIComponent(commentId)}`;
  }

  /** All pages; the total is in X-Total-Count. Comments come all at once (1.25), so a page may repeat. */
  async #pages<T extends { id?: number; number?: number }>(
    schema: z.ZodType<T[]>,
    path: string,
    query: Record<string, string>,
    signal: AbortSignal,
    exists?: () => Promise<unknown>,
  ): Promise<T[]> {
    const found = new Map<number | undefined, T>();
    for (let page = 1; page <= MAX_PAGES; page++) {
      const full = { ...query, page, limit: this.#pageSize };
      const ask = {
        method: "GET",
        path,
        query: full,
        repeatable: true,
        ...(exists ? { exists } : {}),
      } as const;
      const answer = await this.#send(ask, signal);
      const items = this.#parse(schema, answer, `GET ${path}`);
      const before = found.size;
      for (const item of items) found.set(item.number ?? item.id, item);
      if (found.size === before || found.size >= totalCount(answer)) return [...found.values()];
    }
    throw this.#endless(path);
  }

  async #read<T>(
    schema: z.ZodType<T>,
    path: string,
    query: Record<string, string | number>,
    signal: AbortSignal,
  ): Promise<T> {
    const answer = await this.#send({ method: "GET", path, query, repeatable: true }, signal);
    return this.#parse(schema, answer, `GET ${path}`);
  }

  #send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    return this.#http.request(request, signal);
  }

  #parse<T>(schema: z.ZodType<T>, answer: HttpAnswer, call: string): T {
    const result = schema.safeParse(answer.data);
    if (result.success) return result.data;
    const answered = z.prettifyError(result.error);
    throw forgeError("ForgeUnavailable", "gave an answer of another shape", {
      kind: this.kind,
      call,
      answer: answered,
    });
  }

  #endless(path: string): Error {
    return forgeError("ForgeUnavailable", "gave pages without end", { kind: this.kind, call: `GET ${path}` });
  }
}

/** Not a number, and so never reached, when the forge does not say it. */
function totalCount(answer: HttpAnswer): number {
  return Number(answer.headers.get("x-total-count") ?? Number.NaN);
}
