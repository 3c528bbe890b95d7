import { type Octokit, RequestError } from "octokit";
import { z } from "zod";
import { forgeError, forgeErrorForStatus } from "./forge-error.ts";

const KIND = "GitHub";

/** Calls to one repository on GitHub: every failure is an error of a forge. */
export class GitHubCalls {
  /** `owner/name`. */
  readonly repository: string;
  readonly target: { readonly owner: string; readonly repo: string };
  readonly #octokit: Octokit;

  constructor(repository: string, octokit: Octokit) {
    this.repository = repository;
    const [owner = "", repo = ""] = repository.split("/");
    this.target = { owner, repo };
    this.#octokit = octokit;
  }

  /** Runs one call; octokit's waits between attempts do not hear the signal, so it is raced here. */
  async call<T>(call: string, signal: AbortSignal, run: (octokit: Octokit) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const named = call.replace("{owner}/{repo}", this.repository);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([run(this.#octokit), aborted.promise]);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#explain(error, named);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** The cause is left out: octokit's errors carry the request. */
  #explain(error: unknown, call: string): Error {
    const failed = { kind: KIND, call } as const;
    if (!(error instanceof RequestError)) {
      const words = error instanceof Error ? error.message : String(error);
      return forgeError("ForgeUnavailable", "cannot be used", { ...failed, answer: words });
    }
    const answer = error.message;
    if (!error.response) return forgeError("ForgeUnavailable", "cannot be reached", { ...failed, answer });
    const limited =
      error.response.headers["x-ratelimit-remaining"] === "0" || /\bsecondary rate\b/i.test(error.message);
    if (error.status === 403 && limited) {
      return forgeError("ForgeRateLimited", "asks for fewer requests", { ...failed, answer });
    }
    // A commit that a force-push took away.
    const missing = error.status === 422 && error.message.startsWith("No commit found for SHA");
    return forgeErrorForStatus(missing ? 404 : error.status, { ...failed, answer });
  }

  parse<T>(schema: z.ZodType<T>, data: unknown, call: string): T {
    const result = schema.safeParse(data);
    if (result.success) return result.data;
    const answer = z.prettifyError(result.error);
    throw forgeError("ForgeUnavailable", "gave an answer of another shape", {
      kind: KIND,
      call,
      answer,
    });
  }
}
