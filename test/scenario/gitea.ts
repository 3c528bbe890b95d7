import { randomUUID } from "node:crypto";
import { required } from "./env.ts";
import { GiteaRepository } from "./gitea-repository.ts";

export interface GiteaUser {
  readonly login: string;
  readonly password: string;
  /** With the scopes that Slipway's own token needs, and no more. */
  readonly token: string;
}

/** Scopes of a token that reads git, comments, sets statuses and knows its own name. */
export const CONTROLLER_SCOPES: readonly string[] = ["write:repository", "write:issue", "read:user"];

/** JSON over HTTP; an answer that is no success throws with what Gitea said. */
export async function giteaCall<T = unknown>(
  url: string,
  authorization: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { authorization, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 400)}`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** A real Gitea with an administrator's token: makes users and repositories. */
export class GiteaAdmin {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url.replace(/\/+$/, "");
    this.#token = token;
  }

  /** The Gitea that the harness started. */
  static fromEnv(): GiteaAdmin {
    return new GiteaAdmin(required("SLIPWAY_TEST_GITEA_URL"), required("SLIPWAY_TEST_GITEA_TOKEN"));
  }

  api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return giteaCall<T>(this.url, `token ${this.#token}`, method, path, body);
  }

  async createUser(login: string): Promise<GiteaUser> {
    const password = randomUUID();
    await this.api("POST", "/admin/users", {
      username: login,
      email: `${login}@example.com`,
      password,
      must_change_password: false,
    });
    const user = { login, password };
    return { ...user, token: await this.createToken(user, CONTROLLER_SCOPES) };
  }

  async createToken(user: Pick<GiteaUser, "login" | "password">, scopes: readonly string[]): Promise<string> {
    const basic = `Basic ${Buffer.from(`${user.login}:${user.password}`).toString("base64")}`;
    const path = `/users/${user.login}/tokens`;
    const body = { name: randomUUID(), scopes };
    const { sha1 } = await giteaCall<{ sha1: string }>(this.url, basic, "POST", path, body);
    return sha1;
  }

  /** An empty repository; the first push makes its branch `main`. */
  async createRepo(
    owner: GiteaUser,
    name: string,
    options: { private?: boolean } = {},
  ): Promise<GiteaRepository> {
    await this.api("POST", `/admin/users/${owner.login}/repos`, {
      name,
      default_branch: "main",
      private: options.private ?? false,
    });
    return new GiteaRepository(this, owner, `${owner.login}/${name}`);
  }
}
