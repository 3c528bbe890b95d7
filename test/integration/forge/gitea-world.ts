import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { GiteaForge } from "../../../controller/pr/forge/gitea.ts";

type Body = Record<string, unknown>;

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`${name} is not set: these tests run on a real Gitea, start them with its harness`);
  return value;
}

/** One repository with its people on a real Gitea; names are new each time, so that runs do not meet. */
export class GiteaWorld {
  readonly url = required("SLIPWAY_TEST_GITEA_URL").replace(/\/+$/, "");
  readonly suffix = randomUUID().slice(0, 8);
  readonly team = `team-${this.suffix}`;
  readonly bot = `bot-${this.suffix}`;
  readonly writer = `writer-${this.suffix}`;
  readonly outsider = `outsider-${this.suffix}`;
  readonly repository = `${this.team}/app`;
  readonly tokens = new Map<string, string>();
  readonly #admin = required("SLIPWAY_TEST_GITEA_TOKEN");
  readonly #branches = new Set<string>();

  static async create(): Promise<GiteaWorld> {
    const world = new GiteaWorld();
    for (const user of [world.team, world.bot, world.writer, world.outsider]) await world.#addUser(user);
    const admin = world.#admin;
    await world.api("POST", `/admin/users/${world.team}/repos`, admin, {
      name: "app",
      auto_init: true,
      default_branch: "main",
    });
    const people = `/repos/${world.repository}/collaborators`;
    await world.api("PUT", `${people}/${world.bot}`, admin, { permission: "admin" });
    await world.api("PUT", `${people}/${world.writer}`, admin, { permission: "write" });
    await world.api("POST", `/repos/${world.repository}/forks`, world.token(world.outsider), {});
    return world;
  }

  token(user: string): string {
    const token = this.tokens.get(user);
    if (token === undefined) throw new Error(`${user} has no token`);
    return token;
  }

  forge(token: string): GiteaForge {
    return new GiteaForge({ apiUrl: `${this.url}/api/v1`, repository: this.repository, token, pageSize: 3 });
  }

  /** A commit made on the server; the branch is made from main where it is new. */
  async push(where: "base" | "fork", branch: string): Promise<string> {
    const repository = where === "base" ? this.repository : `${this.outsider}/app`;
    const isNew = !this.#branches.has(`${repository} ${branch}`);
    this.#branches.add(`${repository} ${branch}`);
    const path = `/repos/${repository}/contents/file-${randomUUID()}.txt`;
    const answer = await this.api("POST", path, this.token(where === "base" ? this.bot : this.outsider), {
      content: Buffer.from(randomUUID()).toString("base64"),
      message: "Change a file",
      ...(isNew ? { branch: "main", new_branch: branch } : { branch }),
    });
    return (answer.commit as { sha: string }).sha;
  }

  /** A pull request without a fork and without the right to write: `git push` to `refs/for/main` (AGit). */
  async pushForReview(user: string, topic: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "slipway-agit-"));
    const git = (...args: string[]) => promisify(execFile)("git", args, { cwd: folder });
    try {
      const remote = new URL(`${this.url}/${this.repository}.git`);
      remote.username = user;
      remote.password = this.token(user);
      await git("clone", "--quiet", remote.href, ".");
      const author = ["-c", `user.name=${user}`, "-c", `user.email=${user}@example.com`];
      await git(...author, "commit", "--quiet", "--allow-empty", "-m", `Change ${topic}`);
      await git("push", "--quiet", "-o", `topic=${topic}`, "origin", "HEAD:refs/for/main");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async api(method: string, path: string, token: string, body?: unknown): Promise<Body> {
    return this.#call(method, path, `token ${token}`, body);
  }

  async #addUser(user: string): Promise<void> {
    const password = randomUUID();
    await this.api("POST", "/admin/users", this.#admin, {
      username: user,
      email: `${user}@example.com`,
      password,
      must_change_password: false,
    });
    const basic = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    // What Slipway's own token needs, and no more.
    const scopes = ["write:repository", "write:issue", "read:user"];
    const made = await this.#call("POST", `/users/${user}/tokens`, basic, { name: "test", scopes });
    this.tokens.set(user, String(made.sha1));
  }

  async #call(method: string, path: string, authorization: string, body: unknown): Promise<Body> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? {} : (JSON.parse(text) as Body);
  }
}
