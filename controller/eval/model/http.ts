import { type Dispatcher, EnvHttpProxyAgent, request as send } from "undici";
import { hostAllowed } from "../../kube/allowed-hosts.ts";
import { assertDestination, guardedLookup } from "../../kube/destination.ts";
import { errorOfConnection, errorOfStatus, retryAfter } from "./classify.ts";
import { ModelError } from "./types.ts";

/** Far above any answer that fits a context window; below what hurts. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_ERROR_BYTES = 16 * 1024;

/** One pool for the process, made when first needed: connections are kept open between answers. */
let pool: Dispatcher | undefined;

export interface Access {
  readonly apiKey: string | undefined;
  /** Where requests may go; required for a key, and enforced without one where given. */
  readonly allowedHosts: readonly string[] | undefined;
}

export interface HttpCall {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body?: string;
  readonly stream?: boolean;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Text, or the bytes as they arrive for a streamed answer. */
  readonly body: string | AsyncIterable<Uint8Array>;
}

/**
 * Sends one request, once, without following redirects.
 * @throws ModelError for anything but 2xx; the signal's reason when it was aborted
 */
export async function sendModelRequest(
  call: HttpCall,
  { apiKey, allowedHosts }: Access,
): Promise<HttpAnswer> {
  assertAllowed(call.url, apiKey, allowedHosts);
  pool ??= new EnvHttpProxyAgent({
    connect: { lookup: guardedLookup },
    ...{ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 10_000 },
  });
  try {
    assertDestination(call.url);
    const response = await send(call.url, {
      dispatcher: pool,
      method: call.method,
      signal: call.signal,
      headers: {
        accept: call.stream ? "text/event-stream" : "application/json",
        "user-agent": "slipway",
        ...(call.body !== undefined && { "content-type": "application/json" }),
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: call.body ?? null,
    });
    const { statusCode: status, headers } = response;
    if (status < 200 || status >= 300) {
      const text = await readText(response.body, MAX_ERROR_BYTES, "cut");
      throw errorOfStatus(status, text, retryAfter(headers, Date.now()), apiKey);
    }
    const body = call.stream
      ? limited(response.body)
      : await readText(response.body, MAX_ANSWER_BYTES, "refuse");
    return { status, headers, body };
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason;
    throw errorOfConnection(error, apiKey);
  }
}

function assertAllowed(
  url: string,
  apiKey: string | undefined,
  allowedHosts: readonly string[] | undefined,
): void {
  if (apiKey === undefined && allowedHosts === undefined) return;
  if (hostAllowed(url, [...(allowedHosts ?? [])])) return;
  const host = URL.parse(url)?.host ?? "the endpoint";
  throw new ModelError("HostNotAllowed", `${host} is not among the allowed hosts`, {
    hint: "name it in the Secret's annotation slipway.dev/allowed-hosts, with its port unless that is 443",
  });
}

async function readText(
  body: Dispatcher.ResponseData["body"],
  limit: number,
  beyond: "cut" | "refuse",
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > limit) {
      // Leaving the loop destroys the connection, so what follows is not read.
      if (beyond === "refuse") throw tooLarge();
      break;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function* limited(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw tooLarge();
    yield chunk;
  }
}

function tooLarge(): ModelError {
  return new ModelError("ModelGarbage", `the answer is larger than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`, {
    hint: "set parameters.maxTokens",
  });
}
