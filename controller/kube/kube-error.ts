import { SlipwayError } from "../errors.ts";

/** One entry of `Status.details.causes`: a field and what is wrong with it. */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface KubeErrorDetails {
  readonly hint?: string;
  readonly cause?: unknown;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterMs?: number;
}

/**
 * What the API server answered, or why it could not be asked.
 * `status` is the HTTP status, 0 when there was no answer; `reason` is the Status object's reason,
 * or `Unreachable` / `Timeout` when there was none.
 */
export class KubeError extends SlipwayError {
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, details: KubeErrorDetails = {}) {
    super(reason, message, { ...details, retryable: status === 0 || status === 429 || status >= 500 });
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
    this.causes = details.causes ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Gone",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

interface Status {
  reason?: string;
  message?: string;
  details?: { causes?: StatusCause[]; retryAfterSeconds?: number };
}

/**
 * The error for a response that is not 2xx.
 * @param request what was asked, e.g. `GET /api/v1/namespaces/a/configmaps/b`
 * @param body the response's text: a Status object, or whatever a proxy in between said
 * @param retryAfter the Retry-After header
 */
export function errorFromResponse(
  request: string,
  status: number,
  body: string,
  retryAfter?: string,
): KubeError {
  const parsed = parseStatus(body);
  // A server-side apply with a field that a built-in type lacks is the server's 500, although no retry
  // will help and the mistake is the request's.
  if (status === 500 && parsed?.message?.startsWith("failed to create typed patch object")) {
    return errorFromResponse(request, 400, JSON.stringify({ ...parsed, reason: "BadRequest" }), retryAfter);
  }
  const reason = parsed?.reason || REASONS[status] || `HTTP${status}`;
  const said = parsed?.message || body.slice(0, 500).trim() || "no explanation";
  const seconds = parsed?.details?.retryAfterSeconds;
  const retryAfterMs = parseRetryAfter(retryAfter) ?? (seconds === undefined ? undefined : seconds * 1000);
  return new KubeError(status, reason, `${request}: ${status} ${reason}: ${said}`, {
    causes: parsed?.details?.causes ?? [],
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function parseStatus(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (value !== null && typeof value === "object" && (value as { kind?: unknown }).kind === "Status") {
      return value as Status;
    }
  } catch {
    // Not JSON: an error page of something in between.
  }
  return undefined;
}

/** Retry-After in seconds (the API server never sends a date); undefined when absent or unusable. */
function parseRetryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}

function hasStatus(error: unknown, status: number): error is KubeError {
  return error instanceof KubeError && error.status === status;
}

export function isNotFound(error: unknown): error is KubeError {
  return hasStatus(error, 404);
}

/** A lost optimistic lock or fields owned by another manager; not {@link isAlreadyExists}, which is 409 too. */
export function isConflict(error: unknown): error is KubeError {
  return hasStatus(error, 409) && error.reason !== "AlreadyExists";
}

export function isAlreadyExists(error: unknown): error is KubeError {
  return hasStatus(error, 409) && error.reason === "AlreadyExists";
}

/** The resource version or continue token is too old: list again. */
export function isGone(error: unknown): error is KubeError {
  return hasStatus(error, 410);
}

export function isForbidden(error: unknown): error is KubeError {
  return hasStatus(error, 403);
}

export function isInvalid(error: unknown): error is KubeError {
  return hasStatus(error, 422);
}
