import { Agent, type Dispatcher, ProxyAgent } from "undici";
import { SlipwayError } from "../errors.ts";
import type { Connection, Credentials, TlsMaterial } from "./credentials.ts";
import { deadline } from "./deadline.ts";
import { errorFromResponse, KubeError } from "./kube-error.ts";

export interface HttpRequest {
  readonly method: Dispatcher.HttpMethod;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
}

/** Sends one request, once, over a pool of verified TLS connections. */
export class Transport {
  readonly #connection: Connection;
  #pool: { dispatcher: Dispatcher; fingerprint: string } | undefined;
  #closed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * The whole answer as text.
   * @throws KubeError for anything but 2xx; the signal's reason when the caller gave up
   */
  async send(request: HttpRequest): Promise<{ status: number; text: string }> {
    using limit = deadline(request.timeoutMs, request.signal);
    // Awaited here: the deadline ends with this block.
    return await this.#guard(request, limit, async (secrets) => {
      const response = await this.#dispatch(request, limit.signal, secrets);
      const text = await response.body.text();
      if (response.statusCode >= 200 && response.statusCode < 300)
        return { status: response.statusCode, text };
      throw this.#failure(request, response, scrub(text, secrets));
    });
  }

  /**
   * The answer's body as it arrives. `timeoutMs` limits the wait for the headers; afterwards only the
   * caller's signal ends the stream.
   */
  async open(request: HttpRequest): Promise<AsyncIterable<Uint8Array> & { destroy(): void }> {
    const stream = new AbortController();
    using limit = deadline(request.timeoutMs, request.signal);
    // Two signals: the deadline must not cut a stream that has begun.
    const giveUp = () => stream.abort(limit.signal.reason);
    limit.signal.addEventListener("abort", giveUp, { once: true });
    if (limit.signal.aborted) giveUp();
    const response = await this.#guard(request, limit, async (secrets) => {
      const opened = await this.#dispatch(request, stream.signal, secrets);
      if (opened.statusCode >= 200 && opened.statusCode < 300) return opened;
      throw this.#failure(request, opened, scrub(await opened.body.text(), secrets));
    });
    limit.signal.removeEventListener("abort", giveUp);
    const follow = () => stream.abort(request.signal?.reason);
    if (request.signal?.aborted) follow();
    request.signal?.addEventListener("abort", follow, { once: true });
    response.body.once("close", () => request.signal?.removeEventListener("abort", follow));
    // An abort while nobody reads must not become an unhandled 'error' event.
    response.body.on("error", () => {});
    return response.body;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.dispatcher.destroy();
    this.#pool = undefined;
  }

  async #dispatch(
    request: HttpRequest,
    signal: AbortSignal,
    secrets: string[],
  ): Promise<Dispatcher.ResponseData> {
    const credentials = await this.#connection.credentials();
    secrets.push(...secretsOf(credentials));
    return this.#dispatcher(credentials.tls).request({
      origin: this.#connection.origin,
      path: this.#connection.basePath + request.path,
      method: request.method,
      headers: { ...credentials.headers, ...request.headers },
      body: request.body ?? null,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  #failure(request: HttpRequest, response: Dispatcher.ResponseData, text: string): KubeError {
    if (response.statusCode === 401) this.#connection.invalidate();
    const retryAfter = response.headers["retry-after"];
    return errorFromResponse(
      describe(request),
      response.statusCode,
      text,
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    );
  }

  /** Turns whatever goes wrong into a KubeError that holds no credential. */
  async #guard<T>(
    request: HttpRequest,
    limit: { expired: boolean },
    work: (secrets: string[]) => Promise<T>,
  ): Promise<T> {
    const secrets: string[] = [];
    try {
      return await work(secrets);
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      if (error instanceof SlipwayError) throw error;
      if (limit.expired) {
        throw new KubeError(0, "Timeout", `${describe(request)}: no answer within ${request.timeoutMs} ms`);
      }
      const { code, message } = error as { code?: string; message?: string };
      const said = scrub(message || code || String(error), secrets);
      throw new KubeError(0, "Unreachable", `${describe(request)}: ${said}`, {
        cause: Object.assign(new Error(said), { code: code ?? "UNKNOWN" }),
        hint: `is the API server at ${this.#connection.origin} up?`,
      });
    }
  }

  /** One pool for all, made again only when certificates have rotated. */
  #dispatcher(tls: TlsMaterial): Dispatcher {
    if (this.#closed) throw new SlipwayError("ClientClosed", "this Kubernetes client has been closed");
    const fingerprint = JSON.stringify(Object.values(tls).map(String));
    if (this.#pool?.fingerprint === fingerprint) return this.#pool.dispatcher;
    // The old pool serves the requests it has begun and then goes away.
    void this.#pool?.dispatcher.close().catch(() => {});
    const connect = { ...tls, rejectUnauthorized: true, keepAlive: true, keepAliveInitialDelay: 15_000 };
    // HTTP/1.1: a watch then has a connection of its own, and one slow reader cannot hold up the window
    // that a hundred others share. TCP keep-alive (15 s idle, then 10 probes a second apart) ends a
    // connection whose peer vanished within half a minute.
    const options = { allowH2: false, connections: 128, pipelining: 1, keepAliveTimeout: 30_000, connect };
    const dispatcher = this.#connection.proxyUrl
      ? new ProxyAgent({ ...options, uri: this.#connection.proxyUrl, requestTls: connect })
      : new Agent(options);
    this.#pool = { dispatcher, fingerprint };
    return dispatcher;
  }
}

/** Method and path without the query, which can be long and says little. */
function describe(request: HttpRequest): string {
  return `${request.method} ${request.path.split("?", 1)[0]}`;
}

function secretsOf(credentials: Credentials): string[] {
  const value = credentials.headers.authorization;
  const token = value?.slice(value.indexOf(" ") + 1);
  return token ? [token] : [];
}

function scrub(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text);
}
