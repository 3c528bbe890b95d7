import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type {
  CommitStatus,
  Forge,
  ForgeComment,
  MergeOptions,
  NewPullRequest,
  Permission,
  PullRequest,
} from "./forge.ts";
import { isForgeError } from "./forge-error.ts";
import { GitHubBranches } from "./github-branches.ts";
import { GitHubCalls } from "./github-calls.ts";
import { createGitHubClient, type GitHubClient, type GitHubClientOptions } from "./github-client.ts";
import {
  byAge,
  cutDescription,
  toComment,
  toPermission,
  toPullRequest,
  type WirePullRequest,
  wireComment,
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
export class GitHubForge extends GitHubBranches implements Forge {
  readonly kind = "GitHub";
  readonly repository: string;
  readonly maxCommentLength = 65_536;
  readonly #pageSize: number;
  readonly #mergeWait: number;
  readonly #client: GitHubClient;
  #login: string | undefined;

  private constructor(options: GitHubOptions, client: GitHubClient) {
    super(new GitHubCalls(options.repository, client.octokit));
    this.repository = options.repository;
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
        const answer = await this.calls.call("GET /app", signal, () =>
          app.rest.apps.getAuthenticated({ request: { signal } }),
        );
        this.#login = `${this.calls.parse(z.object({ slug: z.string() }), answer.data, "GET /app").slug}[bot]`;
      } else {
        const answer = await this.calls.call("GET /user", signal, (octokit) =>
          octokit.rest.users.getAuthenticated({ request: { signal } }),
        );
        this.#login = this.calls.parse(z.object({ login: z.string() }), answer.data, "GET /user").login;
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
    const found = await this.calls.call(call, signal, (octokit) =>
      octokit.paginate(octokit.rest.pulls.list, { ...this.calls.target, ...query, request: { signal } }),
    );
    const unique = new Map(
      this.calls.parse(z.array(wirePullRequest), found, call).map((pull) => [pull.number, pull]),
    );
    return [...unique.values()].map((wire) => toPullRequest(wire, this.repository));
  }

  async getPullRequest(number: number, signal: AbortSignal): Promise<PullRequest> {
    return toPullRequest(await this.#wirePullRequest(number, signal), this.repository);
  }

  async listComments(number: number, signal: AbortSignal): Promise<ForgeComment[]> {
    const call = `GET /repos/{owner}/{repo}/issues/${number}/comments`;
    const query = { issue_number: number, per_page: this.#pageSize };
    const found = await this.calls.call(call, signal, (octokit) =>
      octokit.paginate(octokit.rest.issues.listComments, {
        ...this.calls.target,
        ...query,
        request: { signal },
      }),
    );
    const unique = new Map(
      this.calls.parse(z.array(wireComment), found, call).map((comment) => [comment.id, comment]),
    );
    return [...unique.values()].map(toComment).sort(byAge);
  }

  async createComment(number: number, body: string, signal: AbortSignal): Promise<ForgeComment> {
    const call = `POST /repos/{owner}/{repo}/issues/${number}/comments`;
    const answer = await this.calls.call(call, signal, (octokit) =>
      octokit.rest.issues.createComment({
        ...this.calls.target,
        issue_number: number,
        body,
        request: { signal, retries: 0 },
      }),
    );
    const comment = toComment(this.calls.parse(wireComment, answer.data, call));
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
    const answer = await this.calls.call(call, signal, (octokit) =>
      octokit.rest.issues.updateComment({
        ...this.calls.target,
        comment_id: Number(commentId),
        body,
        request: { signal },
      }),
    );
    return toComment(this.calls.parse(wireComment, answer.data, call));
  }

  async deleteComment(_number: number, commentId: string, signal: AbortSignal): Promise<void> {
    const call = `DELETE /repos/{owner}/{repo}/issues/comments/${commentId}`;
    try {
      await this.calls.call(call, signal, (octokit) =>
        octokit.rest.issues.deleteComment({
          ...this.calls.target,
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
      const answer = await this.calls.call(call, signal, (octokit) =>
        octokit.rest.repos.getCombinedStatusForRef({ ...this.calls.target, ...query, request: { signal } }),
      );
      const { statuses, total_count } = this.calls.parse(wireCombinedStatus, answer.data, call);
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
    const answer = await this.calls.call(`POST /repos/{owner}/{repo}/statuses/${sha}`, signal, (octokit) =>
      octokit.rest.repos.createCommitStatus({
        ...this.calls.target,
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
      const answer = await this.calls.call(call, signal, (octokit) =>
        octokit.rest.repos.getCollaboratorPermissionLevel({
          ...this.calls.target,
          username: user,
          request: { signal },
        }),
      );
      return toPermission(
        this.calls.parse(z.object({ permission: z.string() }), answer.data, call).permission,
      );
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
      await this.calls.call(call, signal, (octokit) =>
        octokit.rest.pulls.merge({
          ...this.calls.target,
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
    const answer = await this.calls.call(call, signal, (octokit) =>
      octokit.rest.pulls.create({
        ...this.calls.target,
        title,
        body,
        head,
        base,
        request: { signal, retries: 0 },
      }),
    );
    return toPullRequest(this.calls.parse(wirePullRequest, answer.data, call), this.repository);
  }

  async updatePullRequest(
    number: number,
    { title, body }: Pick<NewPullRequest, "title" | "body">,
    signal: AbortSignal,
  ): Promise<PullRequest> {
    const call = `PATCH /repos/{owner}/{repo}/pulls/${number}`;
    const answer = await this.calls.call(call, signal, (octokit) =>
      octokit.rest.pulls.update({
        ...this.calls.target,
        pull_number: number,
        title,
        body,
        request: { signal },
      }),
    );
    return toPullRequest(this.calls.parse(wirePullRequest, answer.data, call), this.repository);
  }

  async #wirePullRequest(number: number, signal: AbortSignal): Promise<WirePullRequest> {
    const call = `GET /repos/{owner}/{repo}/pulls/${number}`;
    const answer = await this.calls.call(call, signal, (octokit) =>
      octokit.rest.pulls.get({ ...this.calls.target, pull_number: number, request: { signal } }),
    );
    return this.calls.parse(wirePullRequest, answer.data, call);
  }
}
