import { setTimeout as sleep } from "node:timers/promises";
import { cleanToken } from "./credential.ts";
import { type FailedCall, forgeError, forgeErrorForStatus } from "./forge-error.ts";

export interface HttpOptions {
  /** Base of the API, no trailing slash. */
  readonly apiUrl: string;
  readonly token: string;
  /** The connection to use, e.g. one that refuses hosts the token is not meant for. */
  readonly fetch?: typeof fetch;
  /** For one attempt, milliseconds. */
  readonly timeout?: number;
  /** Attempts after the first. */
  readonly retries?: number;
  /** First backoff, milliseconds; doubled each time, half of it random. */
  readonly backoff?: number;
}

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Below the API's base, already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** Doing it twice is the same as once; only then an unclear failure is tried again. */
  readonly repeatable: boolean;
  /**
   * Asked after a first 500: Gitea (1.25) answers that, without words, also for an issue or a commit that
   * is not there. Throws ForgeNotFound then.
   */
  readonly exists?: () => Promise<unknown>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; undefined for an empty body. */
  readonly data: unknown;
}

/** A longer Retry-After is for the caller's queue, not for a waiting call. */
const MAX_WAIT = 60_000;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** JSON over HTTP to Gitea, with the retries that are safe. */
export class ForgeHttp {
  readonly #options: Required<HttpOptions>;

  constructor(options: HttpOptions) {
    this.#options = {
      fetch: globalThis.fetch,
      timeout: 30_000,
      retries: 4,
      backoff: 500,
      ...options,
      token: cleanToken(options.token),
    };
  }

  /**
   * Sends until there is an answer that is final.
   * @throws SlipwayError with a forge code; the signal's reason when aborted
   */
  async request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const failed: FailedCall = { kind: "Gitea", call: `${request.method} ${request.path}` };
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      const last = attempt >= this.#options.retries;
      let wait = this.#backoff(attempt);
      try {
        const answer = await this.#send(request, signal);
        if (answer.status < 300) return answer;
        if (answer.status === 500 && attempt === 0) await request.exists?.();
        // 429 is an answer before anything was done, so even a create may be sent again.
        const again = answer.status === 429 || (answer.status >= 500 && request.repeatable);
        const asked = retryAfter(answer.headers.get("retry-after"), Date.now());
        if (asked !== undefined) wait = Math.max(asked, wait);
        if (!again || last || wait > MAX_WAIT) {
          throw forgeErrorForStatus(answer.status, { ...failed, answer: messageOf(answer.data) });
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ConnectionFailure)) throw error;
        if (last || !(request.repeatable || error.neverSent)) {
          throw forgeError("ForgeUnavailable", error.message, { ...failed, cause: error.cause });
        }
      }
      await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async #send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const { apiUrl, token, timeout } = this.#options;
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(request.query ?? {})) query.set(key, String(value));
    try {
      const response = await this.#options.fetch(
        `${apiUrl}${request.path}${query.size > 0 ? `?${query}` : ""}`,
        {
          method: request.method,
          headers: {
            accept: "application/json",
            authorization: `token ${token}`,
            "user-agent": "slipway",
            ...(request.body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
          // A moved repository is said, not followed: the token is meant for this URL.
          redirect: "manual",
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        },
      );
      const text = await readText(response);
      return { status: response.status, headers: response.headers, data: parseJson(text) };
    } catch (error) {
      throw new ConnectionFailure(error, timeout);
    }
  }

  #backoff(attempt: number): number {
    const full = Math.min(this.#options.backoff * 2 ** attempt, 15_000);
    return full / 2 + (Math.random() * full) / 2;
  }
}

/** No complete answer came. */
class ConnectionFailure extends Error {
  /** The connection was refused or the name not found: the forge cannot have seen the request. */
  readonly neverSent: boolean;

  constructor(error: unknown, timeout: number) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    super(
      timedOut ? `did not answer within ${timeout / 1000} s` : `cannot be reached${code ? `: ${code}` : ""}`,
      {
        cause: error,
      },
    );
    this.neverSent = code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN";
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What is no JSON (a proxy's page) is left as text; the schema of the caller refuses it. */
function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageOf(data: unknown): string {
  if (typeof data === "string") return data;
  if (typeof data === "object" && data !== null && "message" in data) return String(data.message);
  return "";
}

/**
 * Retry-After in milliseconds: seconds or an HTTP date (RFC 9110, 10.2.3).
 * @param now milliseconds since the epoch
 */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
