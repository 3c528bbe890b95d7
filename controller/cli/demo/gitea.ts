import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { SlipwayError } from "../../errors.ts";

const run = promisify(execFile);

export interface GiteaServer {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly token: string;
}

/** The few calls that the demo needs beyond the forge port: making a repository and its webhook. */
async function api(server: GiteaServer, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method: "POST",
    headers: { authorization: `token ${server.token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) {
    throw new SlipwayError(
      "GiteaFailed",
      `Gitea answered ${response.status} to POST ${path}: ${(await response.text()).slice(0, 300)}`,
    );
  }
}

async function createRepository(server: GiteaServer, name: string): Promise<void> {
  await api(server, "/user/repos", { name, default_branch: "main", private: true });
}

export async function createWebhook(
  server: GiteaServer,
  repository: string,
  url: string,
  secret: string,
): Promise<void> {
  await api(server, `/repos/${repository}/hooks`, {
    type: "gitea",
    active: true,
    events: ["push", "pull_request", "pull_request_sync", "issue_comment"],
    config: { url, content_type: "json", secret },
  });
}

/** A clone that the demo edits and pushes from, as a developer would. */
export class WorkingCopy {
  readonly #folder: string;
  readonly #remote: string;

  private constructor(folder: string, remote: string) {
    this.#folder = folder;
    this.#remote = remote;
  }

  /** Makes a private repository of the user and fills it from a folder; `edit` may change files before the first commit. */
  static async create(
    server: GiteaServer,
    name: string,
    from: string,
    edit: (folder: string) => Promise<void>,
  ) {
    await createRepository(server, name);
    const folder = await mkdtemp(join(tmpdir(), "slipway-demo-"));
    const remote = new URL(`${server.url}/${server.user}/${name}.git`);
    remote.username = server.user;
    remote.password = server.password;
    const copy = new WorkingCopy(folder, remote.href);
    await cp(from, folder, { recursive: true });
    await edit(folder);
    await copy.#git("init", "--quiet", "--initial-branch=main");
    await copy.commitAndPush("main", "Classify support tickets");
    return copy;
  }

  /** Replaces one file of the branch that is checked out: main, unless one is being made. @returns the commit */
  async replace(file: string, content: string, message: string, branch = "main"): Promise<string> {
    await writeFile(join(this.#folder, file), content);
    return this.commitAndPush(branch, message);
  }

  /** A branch from main on which one file is replaced. @returns the commit */
  async branch(name: string, file: string, content: string, message: string): Promise<string> {
    await this.#git("checkout", "--quiet", "-B", name, "main");
    const commit = await this.replace(file, content, message, name);
    await this.#git("checkout", "--quiet", "main");
    return commit;
  }

  async commitAndPush(branch: string, message: string): Promise<string> {
    await this.#git("add", "--all");
    await this.#git("commit", "--quiet", "--message", message);
    await this.#git("push", "--quiet", "--force", this.#remote, `HEAD:refs/heads/${branch}`);
    return (await this.#git("rev-parse", "HEAD")).trim();
  }

  async read(file: string): Promise<string> {
    return readFile(join(this.#folder, file), "utf8");
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #git(...args: string[]): Promise<string> {
    const identity = [
      "-c",
      "user.name=Ada",
      "-c",
      "user.email=ada@example.com",
      "-c",
      "commit.gpgsign=false",
    ];
    try {
      const { stdout } = await run("git", [...identity, ...args], {
        cwd: this.#folder,
        env: { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_GLOBAL: "/dev/null" },
      });
      return stdout;
    } catch (error) {
      // The remote holds a password: only git's own words go out, without it.
      const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
      throw new SlipwayError(
        "GitFailed",
        `git ${args[0]}: ${text.replaceAll(this.#remote, "REMOTE").slice(0, 500)}`,
      );
    }
  }
}
