import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { SlipwayError } from "../errors.ts";
import type { Json } from "../graph/canonical.ts";

export interface WorkReportBody {
  readonly state: "Running" | "Succeeded" | "Failed";
  readonly progress?: Json;
  readonly result?: Json;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A controller that restarts is away for some seconds: 0.5 s doubling to 30 s, some two minutes in all. */
const ATTEMPTS = 9;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

/** The controller as a pod sees it: artifacts by digest, and reports. What fails in passing is tried again. */
export class WorkClient {
  readonly #url: string;
  readonly #token: string;
  readonly #signal: AbortSignal;
  readonly #firstDelayMs: number;

  /** @param url without a slash at the end */
  constructor(url: string, token: string, signal: AbortSignal, firstDelayMs: number = FIRST_DELAY_MS) {
    this.#url = url;
    this.#token = token;
    this.#signal = signal;
    this.#firstDelayMs = firstDelayMs;
  }

  /**
   * Reads a blob into `keep`, from its beginning at each try.
   * @param keep stores what it is given and answers its digest
   * @throws SlipwayError BlobNotFound, DigestMismatch, ControllerUnreachable
   */
  async download(
    digest: string,
    keep: (data: AsyncIterable<Uint8Array>) => Promise<{ readonly digest: string }>,
  ): Promise<void> {
    await this.#again(`reading ${digest}`, async () => {
      const response = await this.#fetch(`/artifacts/${digest}`, {});
      if (response.status === 404) {
        await response.body?.cancel();
        throw new SlipwayError("BlobNotFound", `the controller gives out no blob ${digest}`);
      }
      await checked(response);
      const stored = await keep(Readable.fromWeb(response.body as never));
      if (stored.digest !== digest)
        throw new SlipwayError("DigestMismatch", `${digest} came as ${stored.digest}`, { retryable: true });
    });
  }

  /**
   * Stores a blob.
   * @param open its content from the beginning, once for each try
   * @throws SlipwayError DigestMismatch, ControllerUnreachable
   */
  async upload(open: () => Promise<Readable>, digest: string): Promise<void> {
    await this.#again(`storing ${digest}`, async () => {
      const body = Readable.toWeb(await open()) as never;
      const response = await this.#fetch("/artifacts", {
        method: "PUT",
        body,
        duplex: "half",
      } as RequestInit);
      const stored = (await (await checked(response)).json()) as { digest?: unknown };
      if (stored.digest !== digest)
        throw new SlipwayError(
          "DigestMismatch",
          `${digest} arrived as ${String(stored.digest).slice(0, 80)}`,
          {
            retryable: true,
          },
        );
    });
  }

  /** @throws SlipwayError ControllerUnreachable */
  async report(body: WorkReportBody): Promise<void> {
    await this.#again("reporting", async () => {
      const headers = { "content-type": "application/json" };
      await checked(
        await this.#fetch("/work/report", { method: "POST", body: JSON.stringify(body), headers }),
      );
    });
  }

  #fetch(path: string, { headers, ...init }: RequestInit): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      ...init,
      headers: { ...(headers as Record<string, string>), authorization: `Bearer ${this.#token}` },
      redirect: "error",
      signal: this.#signal,
    });
  }

  async #again(what: string, attempt: () => Promise<void>): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        return await attempt();
      } catch (cause) {
        this.#signal.throwIfAborted();
        if (cause instanceof SlipwayError && !cause.retryable) throw cause;
        if (tried === ATTEMPTS) {
          const why = cause instanceof Error ? cause.message : String(cause);
          throw new SlipwayError("ControllerUnreachable", `${what}: ${why}`, { cause, retryable: true });
        }
        const wait = Math.min(MAX_DELAY_MS, this.#firstDelayMs * 2 ** (tried - 1));
        await sleep(wait, undefined, { signal: this.#signal });
      }
    }
  }
}

/** @throws SlipwayError for an answer that is no success; final where asking again is in vain */
async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = (await response.text().catch(() => "")).slice(0, 200).trim();
  const final = response.status >= 400 && response.status < 500 && response.status !== 429;
  throw new SlipwayError("ControllerRefused", `HTTP ${response.status}: ${text}`, { retryable: !final });
}
