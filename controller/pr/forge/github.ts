import { setTimeout as sleep } from "node:timers/promises";
import { type Octokit, RequestError } from "octokit";
import { z } from "zod";
import type {
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
import { forgeError, forgeErrorForStatus, isForgeError, unreadable } from "./forge-error.ts";
import { createGitHubClient, type GitHubClient, type GitHubClientOptions } from "./github-client.ts";
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

export interface GitHubOptions extends GitHubClientOptions {
  /** `owner/name`. */
  readonly repository: string;
  /** Who the credential writes as, where it may not ask (an installation's bare token). */
  readonly login?: string;
  /** At most 100. */
  readonly pageSize?: number;
  /** How long to wait for GitHub to find out whether a pull request can be merged, milliseconds. */
  readonly mergeWait?: number;
}

const MERGE_POLL = 1000;

const wireStatus = z.object({
  state: z.enum(["pending", "success", "failure", "error"]),
  context: z.string(),
  description: z.string().nullish(),
  target_url: z.string().nullish(),
});
const wireCombinedStatus = z.object({ statuses: z.array(wireStatus), total_count: z.number() });

/** GitHub and GitHub Enterprise Server, REST API version 2022-11-28. */
export class GitHubForge implements Forge {
  readonly kind = "GitHub";
  readonly repository: string;
  readonly maxCommentLength = 65_536;
  readonly #target: { owner: string; repo: string };
  readonly #pageSize: number;
  readonly #mergeWait: number;
  readonly #client: GitHubClient;
  #login: string | undefined;

  private constructor(options: GitHubOptions, client: GitHubClient) {
    this.repository = options.repository;
    const [owner = "", repo = ""] = options.repository.split("/");
    this.#target = { owner, repo };
    this.#client = client;
    this.#pageSize = options.pageSize ?? 100;
    this.#mergeWait = options.mergeWait ?? 60_000;
    this.#login = options.login;
  }

  /** For an App this reads nothing yet: its installation's token is fetched with the first call. */
  static async create(options: GitHubOptions): Promise<GitHubForge> {
    return new GitHubForge(options, await createGitHubClient(options));
  }

  async login(signal: AbortSignal): Promise<string | undefined> {
    if (this.#login !== undefined) return this.#login;
    const { app } = this.#client;
    try {
      if (app) {
        const answer = await this.#call("GET /app", signal, () =>
          app.rest.apps.getAuthenticated({ request: { signal } }),
        );
        this.#login = `${this.#parse(z.object({ slug: z.string() }), answer.data, "GET /app").slug}[bot]`;
      } else {
        const answer = await this.#call("GET /user", signal, (octokit) =>
          octokit.rest.users.getAuthenticated({ request: { signal } }),
        );
        this.#login = this.#parse(z.object({ login: z.string() }), answer.data, "GET /user").login;
      }
    } catch (error) {
      // An installation's bare token has no user; the first thing it writes tells its name.
      if (!isForgeError(error, "ForgeUnauthorized")) throw error;
    }
    return this.#login;
  }

  async listOpenPullRequests(signal: AbortSignal): Promise<PullRequest[]> {
    const call = "GET /repos/{owner}/{repo}/pulls";
    const query = { state: "open", sort: "created", direction: "asc", per_page: this.#pageSize } as const;
    const found = await this.#call(call, signal, (octokit) =>
      octokit.paginate(octokit.rest.pulls.list, { ...this.#target, ...query, request: { signal } }),
    );
    const unique = new Map(
      this.#parse(z.array(wirePullRequest), found, call).map((pull) => [pull.number, pull]),
    );
    return [...unique.values()].map((wire) => toPullRequest(wire, this.repository));
  }

  async getPullRequest(number: number, signal: AbortSignal): Promise<PullRequest> {
    return toPullRequest(await this.#wirePullRequest(number, signal), this.repository);
  }

  async listComments(number: number, signal: AbortSignal): Promise<ForgeComment[]> {
    const call = `GET /repos/{owner}/{repo}/issues/${number}/comments`;
    const query = { issue_number: number, per_page: this.#pageSize };
    const found = await this.#call(call, signal, (octokit) =>
      octokit.paginate(octokit.rest.issues.listComments, { ...this.#target, ...query, request: { signal } }),
    );
    const unique = new Map(
      this.#parse(z.array(wireComment), found, call).map((comment) => [comment.id, comment]),
    );
    return [...unique.values()].map(toComment).sort(byAge);
  }

  async createComment(number: number, body: string, signal: AbortSignal): Promise<ForgeComment> {
    const call = `POST /repos/{owner}/{repo}/issues/${number}/comments`;
    const answer = await this.#call(call, signal, (octokit) =>
      octokit.rest.issues.createComment({
        ...this.#target,
        issue_number: number,
        body,
        request: { signal, retries: 0 },
      }),
    );
    const comment = toComment(this.#parse(wireComment, answer.data, call));
    this.#login ??= comment.author;
    return comment;
  }

  async updateComment(
    _number: number,
    commentId: string,
    body: string,
    signal: AbortSignal,
  ): Promise<ForgeComment> {
    const call = `PATCH /repos/{owner}/{repo}/issues/comments/${commentId}`;
    const answer = await this.#call(call, signal, (octokit) =>
      octokit.rest.issues.updateComment({
        ...this.#target,
        comment_id: Number(commentId),
        body,
        request: { signal },
      }),
    );
    return toComment(this.#parse(wireComment, answer.data, call));
  }

  async deleteComment(_number: number, commentId: string, signal: AbortSignal): Promise<void> {
    const call = `DELETE /repos/{owner}/{repo}/issues/comments/${commentId}`;
    try {
      await this.#call(call, signal, (octokit) =>
        octokit.rest.issues.deleteComment({
          ...this.#target,
          comment_id: Number(commentId),
          request: { signal },
        }),
      );
    } catch (error) {
      if (!isForgeError(error, "ForgeNotFound")) throw error;
    }
  }

  async getCommitStatus(
    sha: string,
    context: string,
    signal: AbortSignal,
  ): Promise<CommitStatus | undefined> {
    const call = `GET /repos/{owner}/{repo}/commits/${sha}/status`;
    // The combined status holds the latest of each context. octokit cannot page it: its answer has a `url`.
    for (let page = 1, seen = 0; ; page++) {
      const query = { ref: sha, per_page: this.#pageSize, page };
      const answer = await this.#call(call, signal, (octokit) =>
        octokit.rest.repos.getCombinedStatusForRef({ ...this.#target, ...query, request: { signal } }),
      );
      const { statuses, total_count } = this.#parse(wireCombinedStatus, answer.data, call);
      const found = statuses.find((status) => status.context === context);
      if (found) {
        return {
          state: found.state,
          context,
          description: found.description ?? "",
          ...(found.target_url ? { targetUrl: found.target_url } : {}),
        };
      }
      seen += statuses.length;
      if (statuses.length === 0 || seen >= total_count) return undefined;
    }
  }

  async setCommitStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void> {
    // Repeatable: the latest of a context counts, so writing it twice changes nothing.
    const answer = await this.#call(`POST /repos/{owner}/{repo}/statuses/${sha}`, signal, (octokit) =>
      octokit.rest.repos.createCommitStatus({
        ...this.#target,
        sha,
        state: status.state,
        context: status.context,
        description: cutDescription(status.description, 140),
        ...(status.targetUrl === undefined ? {} : { target_url: status.targetUrl }),
        request: { signal },
      }),
    );
    this.#login ??= answer.data.creator?.login;
  }

  async permission(user: string, signal: AbortSignal): Promise<Permission> {
    const call = `GET /repos/{owner}/{repo}/collaborators/${user}/permission`;
    try {
      const answer = await this.#call(call, signal, (octokit) =>
        octokit.rest.repos.getCollaboratorPermissionLevel({
          ...this.#target,
          username: user,
          request: { signal },
        }),
      );
      return toPermission(this.#parse(z.object({ permission: z.string() }), answer.data, call).permission);
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return "none";
      throw error;
    }
  }

  async mergePullRequest(number: number, options: MergeOptions, signal: AbortSignal): Promise<void> {
    const call = `PUT /repos/{owner}/{repo}/pulls/${number}/merge`;
    const until = Date.now() + this.#mergeWait;
    // Asking starts GitHub's background check; null means that it has not finished.
    let pull = await this.#wirePullRequest(number, signal);
    while (pull.state === "open" && pull.mergeable == null && Date.now() < until) {
      await sleep(MERGE_POLL, undefined, { signal }).catch(() => signal.throwIfAborted());
      pull = await this.#wirePullRequest(number, signal);
    }
    try {
      await this.#call(call, signal, (octokit) =>
        octokit.rest.pulls.merge({
          ...this.#target,
          pull_number: number,
          merge_method: options.method,
          sha: options.sha,
          request: { signal, retries: 0 },
        }),
      );
    } catch (error) {
      signal.throwIfAborted();
      const now = await this.getPullRequest(number, signal);
      // An answer that got lost, or an earlier attempt of ours.
      if (now.merged && now.headSha === options.sha) return;
      throw error;
    }
  }

  async createPullRequest(request: NewPullRequest, signal: AbortSignal): Promise<PullRequest> {
    const call = "POST /repos/{owner}/{repo}/pulls";
    const { title, body, head, base } = request;
    const answer = await this.#call(call, signal, (octokit) =>
      octokit.rest.pulls.create({
        ...this.#target,
        title,
        body,
        head,
        base,
        request: { signal, retries: 0 },
      }),
    );
    return toPullRequest(this.#parse(wirePullRequest, answer.data, call), this.repository);
  }

  async updatePullRequest(
    number: number,
    { title, body }: Pick<NewPullRequest, "title" | "body">,
    signal: AbortSignal,
  ): Promise<PullRequest> {
    const call = `PATCH /repos/{owner}/{repo}/pulls/${number}`;
    const answer = await this.#call(call, signal, (octokit) =>
      octokit.rest.pulls.update({ ...this.#target, pull_number: number, title, body, request: { signal } }),
    );
    return toPullRequest(this.#parse(wirePullRequest, answer.data, call), this.repository);
  }

  async branchTip(branch: string, signal: AbortSignal): Promise<string | undefined> {
    const call = `GET /repos/{owner}/{repo}/git/ref/heads/${branch}`;
    try {
      const answer = await this.#call(call, signal, (octokit) =>
        octokit.rest.git.getRef({ ...this.#target, ref: `heads/${branch}`, request: { signal } }),
      );
      return this.#parse(z.object({ object: z.object({ sha: z.string() }) }), answer.data, call).object.sha;
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
  }

  async createBranch(branch: string, from: string, signal: AbortSignal): Promise<void> {
    const call = "POST /repos/{owner}/{repo}/git/refs";
    const sha = await this.branchTip(from, signal);
    if (sha === undefined) {
      throw forgeError("ForgeNotFound", `has no branch ${from}`, { kind: this.kind, call });
    }
    await this.#call(call, signal, (octokit) =>
      octokit.rest.git.createRef({
        ...this.#target,
        ref: `refs/heads/${branch}`,
        sha,
        request: { signal, retries: 0 },
      }),
    );
  }

  async deleteBranch(branch: string, signal: AbortSignal): Promise<void> {
    const call = `DELETE /repos/{owner}/{repo}/git/refs/heads/${branch}`;
    try {
      await this.#call(call, signal, (octokit) =>
        octokit.rest.git.deleteRef({ ...this.#target, ref: `heads/${branch}`, request: { signal } }),
      );
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return;
      // GitHub says 422 for a branch that is gone, and for one that may not be deleted.
      if (!isForgeError(error, "ForgeRejected")) throw error;
      if ((await this.branchTip(branch, signal)) !== undefined) throw error;
    }
  }

  async readFile(path: string, branch: string, signal: AbortSignal): Promise<ForgeFile | undefined> {
    const call = `GET /repos/{owner}/{repo}/contents/${path}`;
    try {
      const answer = await this.#call(call, signal, (octokit) =>
        octokit.rest.repos.getContent({ ...this.#target, path, ref: branch, request: { signal } }),
      );
      return toFile(this.#parse(wireFile, answer.data, call)) ?? unreadable(this.kind, call);
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
  }

  async writeFile({ path, branch, content, message, sha }: FileChange, signal: AbortSignal): Promise<void> {
    await this.#call(`PUT /repos/{owner}/{repo}/contents/${path}`, signal, (octokit) =>
      octokit.rest.repos.createOrUpdateFileContents({
        ...this.#target,
        path,
        branch,
        message,
        content: toBase64(content),
        ...(sha === undefined ? {} : { sha }),
        request: { signal, retries: 0 },
      }),
    );
  }

  async #wirePullRequest(number: number, signal: AbortSignal): Promise<WirePullRequest> {
    const call = `GET /repos/{owner}/{repo}/pulls/${number}`;
    const answer = await this.#call(call, signal, (octokit) =>
      octokit.rest.pulls.get({ ...this.#target, pull_number: number, request: { signal } }),
    );
    return this.#parse(wirePullRequest, answer.data, call);
  }

  /** Runs one call; octokit's waits between attempts do not hear the signal, so it is raced here. */
  async #call<T>(call: string, signal: AbortSignal, run: (octokit: Octokit) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const named = call.replace("{owner}/{repo}", this.repository);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([run(this.#client.octokit), aborted.promise]);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#explain(error, named);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** The cause is left out: octokit's errors carry the request. */
  #explain(error: unknown, call: string): Error {
    const failed = { kind: this.kind, call } as const;
    if (!(error instanceof RequestError)) {
      const words = error instanceof Error ? error.message : String(error);
      return forgeError("ForgeUnavailable", "cannot be used", { ...failed, answer: words });
    }
    const answer = error.message;
    if (!error.response) return forgeError("ForgeUnavailable", "cannot be reached", { ...failed, answer });
    const limited =
      error.response.headers["x-ratelimit-remaining"] === "0" || /\bsecondary rate\b/i.test(error.message);
    if (error.status === 403 && limited) {
      return forgeError("ForgeRateLimited", "asks for fewer requests", { ...failed, answer });
    }
    // A commit that a force-push took away.
    const missing = error.status === 422 && error.message.startsWith("No commit found for SHA");
    return forgeErrorForStatus(missing ? 404 : error.status, { ...failed, answer });
  }

  #parse<T>(schema: z.ZodType<T>, data: unknown, call: string): T {
    const result = schema.safeParse(data);
    if (result.success) return result.data;
    const answer = z.prettifyError(result.error);
    throw forgeError("ForgeUnavailable", "gave an answer of another shape", {
      kind: this.kind,
      call,
      answer,
    });
  }
}
