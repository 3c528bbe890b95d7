import { SlipwayError } from "../errors.ts";
import { hostAllowed, parseAllowedHosts } from "./allowed-hosts.ts";
import type { KubeClient } from "./client.ts";
import { serviceAccountIdentity } from "./identity.ts";
import { isForbidden, isNotFound } from "./kube-error.ts";
import { type KubeObject, Secret } from "./resources.ts";

export const ALLOWED_HOSTS_ANNOTATION = "slipway.dev/allowed-hosts";

export interface SecretContent {
  /** Decoded, as UTF-8. */
  readonly data: Readonly<Record<string, string>>;
  /** For {@link hostAllowed}; empty means that it may be sent nowhere. */
  readonly allowedHosts: readonly string[];
}

export interface SecretReaderOptions {
  readonly client: KubeClient;
  /** How long an answer is kept, and so how long a revoked right or an old key lives on: 60 s. */
  readonly ttlMs?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Cached {
  readonly until: number;
  readonly content: Promise<SecretContent>;
}

/** Reads Secrets with the rights of the tenant's ServiceAccount, never with the controller's own. */
export class SecretReader {
  readonly #client: KubeClient;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #cache = new Map<string, Cached>();

  constructor(options: SecretReaderOptions) {
    this.#client = options.client;
    this.#ttlMs = options.ttlMs ?? 60_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * @param options.bound false for a Secret that is never sent anywhere (a webhook's HMAC key): it then
   *   needs no allowed hosts
   * @throws SlipwayError EmptyIdentity, SecretNotFound, SecretForbidden, SecretNotBound,
   *   InvalidAllowedHosts; KubeError for the rest. None holds a value of the Secret.
   */
  async read(
    namespace: string,
    name: string,
    serviceAccountName: string,
    options: { bound?: boolean; signal?: AbortSignal } = {},
  ): Promise<SecretContent> {
    const as = serviceAccountIdentity(namespace, serviceAccountName);
    const key = `${namespace}/${name}/${serviceAccountName}`;
    const now = this.#now();
    let cached = this.#cache.get(key);
    if (!cached || cached.until <= now) {
      this.#forgetExpired(now);
      const content = this.#client.get(Secret, namespace, name, { as, timeoutMs: 10_000 }).then(decode);
      const fresh = { until: now + this.#ttlMs, content };
      cached = fresh;
      this.#cache.set(key, fresh);
      // A failure is not kept: it is often being mended right now.
      content.catch(() => {
        if (this.#cache.get(key) === fresh) this.#cache.delete(key);
      });
    }
    const content = await cached.content.catch((error: unknown) => {
      throw explain(error, namespace, name, serviceAccountName);
    });
    options.signal?.throwIfAborted();
    if (options.bound !== false && content.allowedHosts.length === 0) throw notBound(namespace, name);
    return content;
  }

  #forgetExpired(now: number): void {
    for (const [key, cached] of this.#cache) {
      if (cached.until <= now) this.#cache.delete(key);
    }
  }
}

/** @throws SlipwayError HostNotAllowed unless the Secret may be sent to `url` */
export function assertHostAllowed(url: string | URL, secret: SecretContent, secretName: string): void {
  if (hostAllowed(url, secret.allowedHosts)) return;
  const host = URL.parse(String(url))?.host || "this address";
  throw new SlipwayError("HostNotAllowed", `Secret ${secretName} may not be sent to ${host}`, {
    hint: `its annotation ${ALLOWED_HOSTS_ANNOTATION} allows: ${secret.allowedHosts.join(", ") || "nothing"} (without a port: https on 443)`,
  });
}

function decode(secret: KubeObject): SecretContent {
  const data = (secret.data ?? {}) as Record<string, string>;
  return {
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
    ),
    allowedHosts: parseAllowedHosts(secret.metadata.annotations?.[ALLOWED_HOSTS_ANNOTATION] ?? ""),
  };
}

function notBound(namespace: string, name: string): SlipwayError {
  return new SlipwayError("SecretNotBound", `Secret ${namespace}/${name} does not say where it may be sent`, {
    hint: `annotate it: kubectl -n ${namespace} annotate secret ${name} ${ALLOWED_HOSTS_ANNOTATION}=api.example.com`,
  });
}

function explain(error: unknown, namespace: string, name: string, account: string): unknown {
  if (isNotFound(error)) {
    return new SlipwayError("SecretNotFound", `there is no Secret ${namespace}/${name}`, { cause: error });
  }
  if (!isForbidden(error)) return error;
  const hint = error.message.includes("impersonate")
    ? `let the controller impersonate ServiceAccount ${namespace}/${account}`
    : `give ServiceAccount ${namespace}/${account} a Role with get on Secret ${name}`;
  return new SlipwayError(
    "SecretForbidden",
    `ServiceAccount ${account} may not read Secret ${namespace}/${name}`,
    {
      cause: error,
      hint,
    },
  );
}
