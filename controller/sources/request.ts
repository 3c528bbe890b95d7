import { AwsV4Signer } from "aws4fetch";
import { type Dispatcher, EnvHttpProxyAgent, request as send } from "undici";
import { SlipwayError } from "../errors.ts";
import { hostAllowed } from "../kube/allowed-hosts.ts";
import { assertDestination, guardedLookup } from "../kube/destination.ts";
import { certificateError } from "./certificate.ts";
import type { SourceAccess } from "./types.ts";

/** Without an answer, or a byte of it, for this long a connection is given up. */
const STALL_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 5;
const MAX_TEXT_BYTES = 32 << 20;

let pool: Dispatcher | undefined;

export type SourceAnswer = Dispatcher.ResponseData & { readonly url: string };

export interface SourceRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * One request; redirects are followed. Credentials go to allowed hosts alone: the first must be one, and where a
 * redirect leads to another (a hub's storage) they stay behind.
 * @throws SlipwayError HostNotAllowed, SourceNotFound, SourceForbidden, SourceChanged, SourceRefused, SourceUntrusted;
 *   retryable: SourceUnavailable. The signal's reason when it was aborted.
 */
export async function requestSource(call: SourceRequest, access: SourceAccess): Promise<SourceAnswer> {
  let url = call.url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await once({ ...call, url }, access, hop === 0);
    const { statusCode, headers } = answer;
    if (![301, 302, 303, 307, 308].includes(statusCode)) return check(answer, url);
    await answer.body.dump();
    const next = URL.parse(String(headers.location ?? ""), url);
    if (!next) throw new SlipwayError("SourceRefused", `${shown(url)} redirects to nowhere`);
    if (next.protocol !== "https:" && !(next.protocol === "http:" && url.startsWith("http:")))
      throw new SlipwayError("SourceRefused", `${shown(url)} redirects from https to ${next.protocol}//`);
    url = next.href;
  }
  throw new SlipwayError("SourceRefused", `${shown(call.url)} redirects more than ${MAX_REDIRECTS} times`);
}

async function once(
  { method, url, headers = {}, signal }: SourceRequest,
  access: SourceAccess,
  first: boolean,
): Promise<SourceAnswer> {
  const parsed = URL.parse(url);
  if (!parsed) throw new SlipwayError("SourceRefused", "the address of the source is no URL");
  assertDestination(parsed);
  const allowed = access.credentials !== undefined && hostAllowed(url, access.allowedHosts ?? []);
  if (access.credentials && first && !allowed) {
    throw new SlipwayError("HostNotAllowed", `the Secret of the source may not be sent to ${parsed.host}`, {
      hint: "name the host in the Secret's annotation slipway.dev/allowed-hosts, with its port unless that is 443",
    });
  }
  // The bytes as they are: a compressed answer would make ranges and sizes something else.
  const plain = { "user-agent": "slipway", "accept-encoding": "identity", ...headers };
  const signed = allowed ? await authorized(method, url, plain, access) : plain;
  pool ??= new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_TIMEOUT_MS, lookup: guardedLookup },
    headersTimeout: STALL_TIMEOUT_MS,
    bodyTimeout: STALL_TIMEOUT_MS,
    keepAliveTimeout: 10_000,
  });
  try {
    return { ...(await send(url, { dispatcher: pool, method, headers: signed, signal })), url };
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof SlipwayError) throw cause;
    const untrusted = certificateError(url, cause);
    if (untrusted) throw untrusted;
    const code = (cause as NodeJS.ErrnoException).code ?? "no answer";
    throw new SlipwayError("SourceUnavailable", `${shown(url)} cannot be reached (${code})`, {
      retryable: true,
      cause,
    });
  }
}

async function authorized(
  method: string,
  url: string,
  headers: Record<string, string>,
  { credentials, region = "us-east-1" }: SourceAccess,
): Promise<Record<string, string>> {
  if (credentials?.type === "bearer") return { ...headers, authorization: `Bearer ${credentials.token}` };
  if (!credentials) return headers;
  const { type: _, ...keys } = credentials;
  const signed = await new AwsV4Signer({ method, url, headers, service: "s3", region, ...keys }).sign();
  return Object.fromEntries(signed.headers);
}

async function check(answer: Dispatcher.ResponseData, url: string): Promise<SourceAnswer> {
  const { statusCode: status } = answer;
  if (status >= 200 && status < 300) return { ...answer, url };
  await answer.body.dump();
  const at = shown(url);
  if (status === 404 || status === 410) throw new SlipwayError("SourceNotFound", `${at} does not exist`);
  if (status === 401 || status === 403) {
    throw new SlipwayError("SourceForbidden", `${at} may not be read (HTTP ${status})`, {
      hint: "set secretRef, or check what its credentials may read",
    });
  }
  if (status === 412 || status === 416) throw changed(url);
  const retryable = status === 429 || status >= 500;
  const code = retryable ? "SourceUnavailable" : "SourceRefused";
  throw new SlipwayError(code, `${at} answers HTTP ${status}`, { retryable });
}

/** The source is another than it was when it was resolved. Looking again may help. */
export function changed(url: string): SlipwayError {
  return new SlipwayError("SourceChanged", `${shown(url)} changed while it was read`, { retryable: true });
}

/** Without query and user information, where keys stand. */
export function shown(url: string): string {
  const parsed = URL.parse(url);
  return parsed ? `${parsed.origin}${parsed.pathname}`.slice(0, 512) : "the source";
}

/** The whole answer as text, for listings. */
export async function textOf(answer: SourceAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_TEXT_BYTES)
      throw new SlipwayError(
        "SourceRefused",
        `${shown(answer.url)} answers more than ${MAX_TEXT_BYTES} bytes`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A header's only value. */
export function header(answer: SourceAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
