import { certificateFault } from "../../kube/certificate.ts";
import { ModelError } from "./types.ts";

/** The error that an answer with this status means; `body` is what the endpoint said. */
export function errorOfStatus(
  status: number,
  body: string,
  retryAfterMs: number | undefined,
  apiKey: string | undefined,
): ModelError {
  const message = `HTTP ${status}${explanation(body, apiKey)}`;
  if (status < 400) {
    return new ModelError("ModelRedirected", message, {
      status,
      hint: "redirects are not followed: write the final address as baseURL",
    });
  }
  if (status === 401 || status === 402 || status === 403) {
    return new ModelError("ModelUnauthorized", message, {
      status,
      hint: "check the key in the deployment's secretRef",
    });
  }
  if (status === 408)
    return new ModelError("ModelTimeout", message, { status, retryable: true, retryAfterMs });
  if (status === 429) {
    // OpenAI says 429 also for an account without money, which no waiting cures.
    const retryable = !/insufficient_quota/.test(body);
    return new ModelError("ModelRateLimited", message, { status, retryable, retryAfterMs });
  }
  if (status >= 500)
    return new ModelError("ModelUnavailable", message, { status, retryable: true, retryAfterMs });
  return new ModelError("ModelRejected", message, { status });
}

/** The error that a failed connection means. */
export function errorOfConnection(error: unknown, apiKey: string | undefined): ModelError {
  if (error instanceof ModelError) return error;
  const { code, message } = innermost(error);
  // An address that no endpoint has: see kube/destination.ts.
  if (code === "HostNotAllowed") return new ModelError(code, message);
  const fault = certificateFault(code);
  // Not even an expired one is renewed while an evaluation tries again.
  if (fault)
    return new ModelError("ModelUnavailable", `no answer: the server's certificate ${fault.says} (${code})`, {
      hint: fault.hint,
    });
  return new ModelError("ModelUnavailable", `no answer: ${clean(code ?? message, apiKey)}`, {
    retryable: code !== "ERR_INVALID_URL",
    hint: "check baseURL and that the endpoint can be reached from here",
  });
}

/** What `Retry-After` asks for, in ms: seconds or a date (RFC 9110), or OpenAI's `retry-after-ms`. */
export function retryAfter(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): number | undefined {
  const milliseconds = Number.parseFloat(String(headers["retry-after-ms"] ?? ""));
  if (milliseconds >= 0) return milliseconds;
  const text = String(headers["retry-after"] ?? "").trim();
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text) * 1_000;
  const date = text === "" ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** The endpoint's own message, if its body has one. */
function explanation(body: string, apiKey: string | undefined): string {
  let text = body;
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) {
      const inner = "error" in parsed ? parsed.error : parsed;
      if (typeof inner === "string") text = inner;
      else if (typeof inner === "object" && inner !== null && "message" in inner)
        text = String(inner.message);
    }
  } catch {
    // Not JSON: the text itself.
  }
  const cleaned = clean(text, apiKey);
  return cleaned === "" ? "" : `: ${cleaned}`;
}

/** One line of at most 300 characters, without the key and without anything that looks like one. */
function clean(text: string, apiKey: string | undefined): string {
  const withoutKey = apiKey ? text.replaceAll(apiKey, "[redacted]") : text;
  return withoutKey
    .replaceAll(/\b(sk|key|pk)-[A-Za-z0-9_*-]{8,}/g, "[redacted]")
    .replaceAll(/(Bearer)\s+\S+/gi, "$1 [redacted]")
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim()
    .slice(0, 300);
}

function innermost(error: unknown): { code: string | undefined; message: string } {
  let at = error;
  let code: string | undefined;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if ("code" in at && typeof at.code === "string") code = at.code;
    const next = at instanceof AggregateError ? at.errors[0] : at.cause;
    if (next === undefined) break;
    at = next;
  }
  return { code, message: at instanceof Error ? at.message : String(at) };
}
