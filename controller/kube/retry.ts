import { backoffMs } from "./backoff.ts";
import { KubeError } from "./kube-error.ts";

/** Tries of one call, the first included. */
const MAX_TRIES = 5;

/** Failures before anything was sent: safe to repeat whatever the verb. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/**
 * Whether, and after how long, a failed call is sent again.
 * 429 means that the server did not look at the request, so every verb may repeat it; a 5xx or a broken
 * connection leaves open whether it took effect, so only idempotent requests may.
 * @returns milliseconds, or undefined to give up
 */
export function retryDelayMs(
  error: unknown,
  attempt: { tried: number; idempotent: boolean; random: number },
): number | undefined {
  if (!(error instanceof KubeError) || attempt.tried >= MAX_TRIES) return undefined;
  const repeatable =
    error.status === 429 ||
    (error.status === 0 && NEVER_SENT.has(networkCode(error) ?? "")) ||
    (attempt.idempotent && (error.status === 0 ? error.reason !== "Timeout" : error.status >= 500));
  if (!repeatable) return undefined;
  return Math.max(error.retryAfterMs ?? 0, backoffMs(attempt.tried - 1, 250, 5_000, attempt.random));
}

function networkCode(error: KubeError): string | undefined {
  const cause = error.cause as { code?: unknown } | undefined;
  return typeof cause?.code === "string" ? cause.code : undefined;
}
