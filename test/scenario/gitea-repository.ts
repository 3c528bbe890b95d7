import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type GiteaAdmin, type GiteaUser, giteaCall } from "./gitea.ts";

export interface Comment {
  readonly id: number;
  readonly body: string;
  readonly user: { readonly login: string };
}

export interface Status {
  readonly id: number;
  readonly status: string;
  readonly context: string;
  readonly description: string;
}

export interface Pull {
  readonly number: number;
  readonly state: string;
  readonly merged: boolean;
  readonly head: { readonly sha: string };
  readonly merge_commit_sha: string | null;
}

/** Files by path; undefined deletes one. */
export type Files = Readonly<Record<string, string | Uint8Array | undefined>>;

/** One repository, as seen by one user: pushes go through real git over HTTP, the rest through the API. */
export class GiteaRepository implements AsyncDisposable {
  /** `owner/name`. */
  readonly fullName: string;
  readonly user: GiteaUser;
  readonly #admin: GiteaAdmin;
  #clone: Promise<string> | undefined;

  constructor(admin: GiteaAdmin, user: GiteaUser, fullName: string) {
    this.#admin = admin;
    this.user = user;
    this.fullName = fullName;
  }

  /** Address for git, without credentials. */
  get cloneUrl(): string {
    return `${this.#admin.url}/${this.fullName}.git`;
  }

  /** The same repository for another user. */
  as(user: GiteaUser): GiteaRepository {
    return new GiteaRepository(this.#admin, user, this.fullName);
  }

  /**
   * Commits files and pushes them.
   * @param options.from the branch to start from where `branch` is new
   * @param options.onPush called right before the push, to measure from there
   * @returns the commit's id
   */
  async commitFiles(
    branch: string,
    files: Files,
    message: string,
    options: { from?: string; onPush?: () => void } = {},
  ): Promise<string> {
    const folder = await this.#folder();
    const git = (...args: string[]) => this.#git(folder, ...args);
    await git("fetch", "--quiet", "--prune", "origin");
    const known = (await git("branch", "--remotes", "--format=%(refname)")).split("\n");
    const start = [branch, options.from].find((name) => known.includes(`refs/remotes/origin/${name}`));
    if (start === undefined) await git("switch", "--quiet", "--orphan", branch);
    else await git("switch", "--quiet", "--no-track", "--force-create", branch, `origin/${start}`);
    for (const [path, content] of Object.entries(files)) {
      const file = join(folder, path);
      if (content === undefined) {
        await rm(file);
        continue;
      }
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", "--message", message);
    options.onPush?.();
    await git("push", "--quiet", "--force", "origin", `HEAD:refs/heads/${branch}`);
    return (await git("rev-parse", "HEAD")).trim();
  }

  /** The commit that a branch is at; asked of git, since Gitea's database follows a push with a delay. */
  async head(branch: string): Promise<string> {
    const [sha] = (
      await this.#git(await this.#folder(), "ls-remote", "origin", `refs/heads/${branch}`)
    ).split("\t");
    if (!sha) throw new Error(`${this.fullName} has no branch ${branch}`);
    return sha;
  }

  /** @param head a branch of this repository, or `user:branch` of a fork */
  async openPull(head: string, title: string, base = "main"): Promise<Pull> {
    const path = `/repos/${this.fullName}/pulls`;
    const create = () => this.api<Pull>("POST", path, { title, body: "", head, base });
    return patiently("404", create);
  }

  pull(number: number): Promise<Pull> {
    return this.api<Pull>("GET", `/repos/${this.fullName}/pulls/${number}`);
  }

  async closePull(number: number): Promise<void> {
    await this.api("PATCH", `/repos/${this.fullName}/pulls/${number}`, { state: "closed" });
  }

  /**
   * Merges; waits while Gitea has not yet found out whether it can be.
   * @returns the commit that the base branch is at afterwards
   */
  async merge(number: number, method: "merge" | "squash" | "rebase" = "merge"): Promise<string> {
    const path = `/repos/${this.fullName}/pulls/${number}/merge`;
    await patiently("try again later", () => this.api("POST", path, { Do: method }));
    const { merge_commit_sha: sha } = await this.pull(number);
    if (!sha) throw new Error(`${this.fullName}#${number} was merged without a commit`);
    return sha;
  }

  comments(number: number): Promise<Comment[]> {
    return this.api<Comment[]>("GET", `/repos/${this.fullName}/issues/${number}/comments`);
  }

  async comment(number: number, body: string): Promise<Comment> {
    return this.api<Comment>("POST", `/repos/${this.fullName}/issues/${number}/comments`, { body });
  }

  /** Every status ever written for a commit, oldest first. */
  async statuses(sha: string): Promise<Status[]> {
    const path = `/repos/${this.fullName}/commits/${sha}/statuses?limit=50`;
    const found = await this.api<Status[]>("GET", path);
    return found.sort((a, b) => a.id - b.id);
  }

  /** The status that counts for a context: the last one written. */
  async status(sha: string, context: string): Promise<Status | undefined> {
    return (await this.statuses(sha)).findLast((status) => status.context === context);
  }

  async addCollaborator(user: GiteaUser, permission: "read" | "write" | "admin"): Promise<void> {
    const path = `/repos/${this.fullName}/collaborators/${user.login}`;
    await this.#admin.api("PUT", path, { permission });
  }

  async fork(user: GiteaUser): Promise<GiteaRepository> {
    const path = `/repos/${this.fullName}/forks`;
    const made = await giteaCall<{ full_name: string }>(
      this.#admin.url,
      `token ${user.token}`,
      "POST",
      path,
      {},
    );
    return new GiteaRepository(this.#admin, user, made.full_name);
  }

  /** A signed webhook for everything that Slipway acts on. */
  async addWebhook(url: string, secret: string): Promise<void> {
    await this.api("POST", `/repos/${this.fullName}/hooks`, {
      type: "gitea",
      active: true,
      config: { url, content_type: "json", secret },
      events: ["push", "pull_request", "pull_request_sync", "issue_comment", "pull_request_comment"],
    });
  }

  api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return giteaCall<T>(this.#admin.url, `token ${this.user.token}`, method, path, body);
  }

  /** Deletes the local clone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const folder = await this.#clone;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  #folder(): Promise<string> {
    this.#clone ??= (async () => {
      const folder = await mkdtemp(join(tmpdir(), "slipway-push-"));
      const remote = new URL(this.cloneUrl);
      remote.username = this.user.login;
      remote.password = this.user.token;
      await this.#git(folder, "init", "--quiet");
      await this.#git(folder, "remote", "add", "origin", remote.href);
      return folder;
    })();
    return this.#clone;
  }

  async #git(folder: string, ...args: string[]): Promise<string> {
    const person = ["-c", `user.name=${this.user.login}`, "-c", `user.email=${this.user.login}@example.com`];
    const settings = [...person, "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"];
    const { stdout } = await promisify(execFile)("git", [...settings, ...args], {
      cwd: folder,
      env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0" },
    });
    return stdout;
  }
}

/** Gitea knows a pushed branch, and whether it can be merged, only after a while. */
async function patiently<T>(unready: string, call: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!String(error).includes(unready) || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
