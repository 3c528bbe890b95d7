import { type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import { SlipwayError } from "../../../errors.ts";
import { certificateFault } from "../../../kube/certificate.ts";
import { deadline } from "../../../kube/deadline.ts";
import { assertDestination, guardedLookup } from "../../../kube/destination.ts";
import { assertHostAllowed, type SecretContent } from "../../../kube/secrets.ts";

export interface OutgoingCall {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The Secret that a header is made of: the call is made only where it may go. */
  readonly secret?: { readonly name: string; readonly content: SecretContent };
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

export interface OutgoingAnswer {
  readonly status: number;
  /** At most 1 MiB. */
  readonly text: string;
}

const MAX_BYTES = 1024 * 1024;

let pool: Dispatcher | undefined;

/**
 * Calls a monitoring system once. Redirects are not followed, so that a key goes nowhere else.
 * @param code of the error when nothing answers
 * @throws SlipwayError HostNotAllowed; `code`, retryable, when there was no whole answer
 */
export async function callOut(call: OutgoingCall, code: string): Promise<OutgoingAnswer> {
  const { url, method, headers, body, secret, signal, timeoutMs = 10_000 } = call;
  if (secret) assertHostAllowed(url, secret.content, secret.name);
  assertDestination(url);
  pool ??= new EnvHttpProxyAgent({ connect: { lookup: guardedLookup }, keepAliveTimeout: 10_000 });
  using limit = deadline(timeoutMs, signal);
  const host = URL.parse(url)?.host ?? "the address";
  try {
    const answer = await request(url, {
      dispatcher: pool,
      method,
      signal: limit.signal,
      headers: { "user-agent": "slipway", ...headers },
      body: body ?? null,
    });
    return { status: answer.statusCode, text: await readText(answer.body, host, code) };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof SlipwayError) throw error;
    const word = wordOf(error);
    const fault = certificateFault(word);
    if (fault)
      throw new SlipwayError(code, `${host}: its certificate ${fault.says} (${word})`, {
        hint: fault.hint,
        retryable: true,
        cause: error,
      });
    const why = limit.expired ? `no answer within ${timeoutMs} ms` : word;
    throw new SlipwayError(code, `${host}: ${why}`, { retryable: true, cause: error });
  }
}

/** The system's word for what went wrong, such as ECONNREFUSED: a message may hold more than one likes. */
function wordOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "the connection failed";
}

async function readText(body: AsyncIterable<Uint8Array>, host: string, code: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BYTES)
      throw new SlipwayError(code, `${host}: the answer is larger than 1 MiB`, {
        hint: "check that the url is that of the API; a query must give few series",
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
