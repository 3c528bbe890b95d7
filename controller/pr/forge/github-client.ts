import { App, Octokit } from "octokit";
import { cleanToken } from "./credential.ts";

/** A token (personal, fine-grained or an installation's), or a GitHub App, which renews its own. */
export type GitHubCredential =
  | { readonly token: string }
  | { readonly appId: number; readonly privateKey: string; readonly installationId: number };

export interface GitHubClientOptions {
  readonly credential: GitHubCredential;
  /** `https://api.github.com`, or a GitHub Enterprise Server's `https://HOST/api/v3`. */
  readonly apiUrl?: string;
  /** The connection to use, e.g. one that refuses hosts the credential is not meant for. */
  readonly fetch?: typeof fetch;
  /** For one attempt, milliseconds. */
  readonly timeout?: number;
  /** GitHub's advice of one write a second and a pause after what notifies people; off in tests. */
  readonly pacing?: boolean;
  /** Milliseconds that one second of waiting takes; less in tests. */
  readonly second?: number;
}

export interface GitHubClient {
  /** Acts on the repository. */
  readonly octokit: Octokit;
  /** Asks about the App itself; undefined for a token. */
  readonly app: Octokit | undefined;
}

/** A longer wait is for the caller's queue: the call fails as rate limited. */
const MAX_WAIT_SECONDS = 60;
const MAX_WAITS = 2;
/** octokit's own list, and the answers to a merge that no repetition changes. */
const FINAL = [400, 401, 403, 404, 405, 409, 410, 422, 451];

let clients = 0;

const waits = (retryAfter: number, _options: object, _octokit: unknown, retryCount: number): boolean =>
  retryAfter <= MAX_WAIT_SECONDS && retryCount < MAX_WAITS;
const nothing = (): void => {};

/** octokit with its retry and throttling plugins set for a controller: bounded waits, silent, own connection. */
export async function createGitHubClient(options: GitHubClientOptions): Promise<GitHubClient> {
  const { credential, timeout = 30_000, second = 1000 } = options;
  const connect = options.fetch ?? globalThis.fetch;
  const limits = {
    // Its own queues: octokit keeps them by this id, in one global table.
    id: `slipway-${++clients}`,
    enabled: options.pacing ?? true,
    onRateLimit: waits,
    onSecondaryRateLimit: waits,
    retryAfterBaseValue: second,
  };
  const defaults = {
    baseUrl: options.apiUrl ?? "https://api.github.com",
    userAgent: "slipway",
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    request: {
      fetch: (url: string, init: RequestInit) =>
        connect(url, {
          ...init,
          signal: AbortSignal.any([AbortSignal.timeout(timeout), ...(init.signal ? [init.signal] : [])]),
        }),
    },
    retry: { doNotRetry: FINAL, retryAfterBaseValue: second },
    throttle: limits,
  };
  if ("token" in credential)
    return { octokit: new Octokit({ ...defaults, auth: cleanToken(credential.token) }), app: undefined };
  const { appId, privateKey, installationId } = credential;
  const app = new App({ appId, privateKey, Octokit: Octokit.defaults(defaults) });
  return { octokit: await app.getInstallationOctokit(installationId), app: app.octokit };
}
