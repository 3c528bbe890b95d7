import { existsSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { SlipwayError } from "../errors.ts";

export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
}

export interface Credentials {
  readonly tls: TlsMaterial;
  /** Authorization, and Impersonate-User when the kubeconfig itself asks for it. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the API server is and how to authenticate to it. */
export interface Connection {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path in front of every request path, without a trailing slash; usually empty. */
  readonly basePath: string;
  readonly proxyUrl: string | undefined;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string | undefined;
  credentials(): Promise<Credentials>;
  /** Forget what is cached, after a 401: tokens and certificates rotate. */
  invalidate(): void;
}

export interface KubeconfigOptions {
  /** A kubeconfig file; otherwise KUBECONFIG, the pod's ServiceAccount, `~/.kube/config`, in that order. */
  readonly path?: string;
  readonly context?: string;
}

/** Credentials are read again after this time, because the library reads files on each call. */
const CREDENTIALS_TTL_MS = 10_000;

/**
 * Reads the connection from a kubeconfig or from the pod. TLS is always verified: a kubeconfig that
 * turns that off is refused, and plain http is for loopback only (`kubectl proxy`), without credentials.
 */
export function loadConnection(options: KubeconfigOptions = {}): Connection {
  const config = readConfig(options);
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) {
    throw new SlipwayError(
      "KubeconfigInvalid",
      `context ${quoted(config.getCurrentContext())} names no cluster`,
      {
        hint: `contexts: ${config.contexts.map((context) => context.name).join(", ") || "none"}`,
      },
    );
  }
  const url = new URL(cluster.server);
  const plain = url.protocol === "http:";
  if (plain && !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)) {
    throw new SlipwayError("KubeconfigInsecure", `${url.origin} is plain http`, {
      hint: "use https; http is accepted for loopback only",
    });
  }
  if (!plain && cluster.skipTLSVerify) {
    throw new SlipwayError(
      "KubeconfigInsecure",
      `cluster ${quoted(cluster.name)} sets insecure-skip-tls-verify`,
      {
        hint: "set certificate-authority-data to the API server's CA instead",
      },
    );
  }
  let cached: { at: number; value: Promise<Credentials> } | undefined;
  return {
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ""),
    proxyUrl: cluster.proxyUrl || undefined,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace?.trim() || undefined,
    credentials() {
      if (plain) return Promise.resolve({ tls: {}, headers: {} });
      if (!cached || performance.now() - cached.at > CREDENTIALS_TTL_MS) {
        const value = readCredentials(config);
        cached = { at: performance.now(), value };
        value.catch(() => {
          cached = undefined;
        });
      }
      return cached.value;
    },
    invalidate() {
      cached = undefined;
    },
  };
}

function readConfig(options: KubeconfigOptions): KubeConfig {
  const config = new KubeConfig();
  const env = process.env;
  try {
    if (options.path !== undefined) config.loadFromFile(options.path);
    else if (!env.KUBECONFIG && env.KUBERNETES_SERVICE_HOST) config.loadFromCluster();
    else if (env.KUBECONFIG || existsSync(`${env.HOME}/.kube/config`)) config.loadFromDefault();
    else throw new Error("there is no KUBECONFIG, no ~/.kube/config and no pod ServiceAccount");
  } catch (error) {
    throw new SlipwayError(
      "KubeconfigUnreadable",
      `cannot read the kubeconfig: ${(error as Error).message}`,
      {
        hint: "pass --kubeconfig or set KUBECONFIG",
      },
    );
  }
  if (options.context !== undefined) {
    if (!config.getContextObject(options.context)) {
      throw new SlipwayError("KubeconfigInvalid", `there is no context ${quoted(options.context)}`, {
        hint: `contexts: ${config.contexts.map((context) => context.name).join(", ") || "none"}`,
      });
    }
    config.setCurrentContext(options.context);
  }
  return config;
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions & { servername?: string } = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch {
    // The library's message can hold an exec plugin's output, and with it a token.
    throw new SlipwayError(
      "KubeconfigAuthFailed",
      "cannot get the credentials that the kubeconfig describes",
      {
        hint: "run `kubectl get --raw /version` with the same kubeconfig to see why",
        retryable: true,
      },
    );
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    // A token read from a file may end in a newline, which no header may hold.
    if (value !== undefined) headers[name.toLowerCase()] = String(value).trim();
  }
  if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  const { ca, cert, key, servername } = options;
  const tls = Object.fromEntries(Object.entries({ ca, cert, key, servername }).filter(([, value]) => value));
  return { tls: tls as TlsMaterial, headers };
}

function quoted(name: string | undefined): string {
  return JSON.stringify(name ?? "");
}
