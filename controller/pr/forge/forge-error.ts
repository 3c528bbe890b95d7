import { SlipwayError } from "../../errors.ts";
import type { Forge } from "./forge.ts";

/** The codes that a forge call fails with. */
export type ForgeErrorCode =
  | "ForgeUnauthorized"
  | "ForgeNotFound"
  | "ForgeRateLimited"
  | "ForgeUnavailable"
  | "ForgeRejected";

const HINTS: Record<ForgeErrorCode, string> = {
  ForgeUnauthorized:
    "Check that the token in the Repository's secret is valid and may read the repository and write issues, pull requests and commit statuses.",
  ForgeNotFound:
    "Check the repository's URL; a private repository that the token cannot see is reported as missing too.",
  ForgeRateLimited: "It is tried again later; give Slipway a credential of its own if this keeps happening.",
  ForgeUnavailable: "It is tried again later; check that the forge is up and that apiURL is its API.",
  ForgeRejected: "The forge understood the request and refused it; its answer says why.",
};

export interface FailedCall {
  readonly kind: Forge["kind"];
  /** What was asked, e.g. `GET /repos/team/app/pulls/3`; never a header. */
  readonly call: string;
  /** The forge's own words; only the first 300 characters are kept. */
  readonly answer?: string;
  readonly cause?: unknown;
  readonly hint?: string;
}

/** Builds the error; `retryable` follows from the code. */
export function forgeError(code: ForgeErrorCode, what: string, failed: FailedCall): SlipwayError {
  const answer = failed.answer?.replace(/\s+/g, " ").trim().slice(0, 300);
  const message = `${failed.kind} ${what} (${failed.call})${answer ? `: ${answer}` : ""}`;
  return new SlipwayError(code, message, {
    hint: failed.hint ?? HINTS[code],
    retryable: code === "ForgeUnavailable" || code === "ForgeRateLimited",
    ...(failed.cause === undefined ? {} : { cause: failed.cause }),
  });
}

/** Maps an HTTP status that is no success. Rate limits that hide behind 403 are the adapter's to tell. */
export function forgeErrorForStatus(status: number, failed: FailedCall): SlipwayError {
  if (status === 401 || status === 403) {
    return forgeError("ForgeUnauthorized", `refused the credential with ${status}`, failed);
  }
  if (status === 404 || status === 410) return forgeError("ForgeNotFound", "does not know this", failed);
  if (status === 429) return forgeError("ForgeRateLimited", "asks for fewer requests", failed);
  if (status === 408 || status >= 500) {
    return forgeError("ForgeUnavailable", `could not answer (${status})`, failed);
  }
  if (status >= 300 && status < 400) {
    return forgeError("ForgeNotFound", "says that this has moved", {
      ...failed,
      hint: "Write the repository's new URL in the Repository.",
    });
  }
  return forgeError("ForgeRejected", `refused the request with ${status}`, failed);
}

/** @throws SlipwayError ForgeRejected: the file is too large for the contents API, or no text */
export function unreadable(kind: Forge["kind"], call: string): never {
  throw forgeError("ForgeRejected", "gives no text for this file", {
    kind,
    call,
    hint: "Only UTF-8 files of at most 1 MiB are changed.",
  });
}

/** True for an error of a forge call with that code. */
export function isForgeError(error: unknown, code: ForgeErrorCode): error is SlipwayError {
  return error instanceof SlipwayError && error.code === code;
}
