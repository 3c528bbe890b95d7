import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Dispatcher, EnvHttpProxyAgent, fetch, type Response } from "undici";
import { SlipwayError } from "../errors.ts";
import type { Report } from "./progress.ts";

/** A firewall that drops packets must not delay the fallback for long. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Without a byte for this long a download is given up. */
const STALL_TIMEOUT_MS = 60_000;

export interface DownloadOptions {
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Downloads release files over HTTPS (proxy variables are honoured) and verifies each against the
 * publisher's SHA-256. Close it after use.
 */
export class Downloader implements AsyncDisposable {
  readonly #options: DownloadOptions;
  readonly #dispatcher: Dispatcher;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#dispatcher = new EnvHttpProxyAgent({
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: STALL_TIMEOUT_MS,
      bodyTimeout: STALL_TIMEOUT_MS,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /** The text of a small file, such as a list of checksums. */
  async text(url: string): Promise<string> {
    return (await this.#get(url)).text();
  }

  /** Saves `url` as `path`. Throws `ChecksumMismatch` unless its SHA-256 is `sha256` (hex). */
  async save(url: string, path: string, sha256: string, mode = 0o755): Promise<void> {
    const response = await this.#get(url);
    if (response.body === null) throw new SlipwayError("DownloadFailed", `${url} answered without a body`);
    const total = Number(response.headers.get("content-length") ?? 0);
    const hash = createHash("sha256");
    const name = url.slice(url.lastIndexOf("/") + 1);
    let received = 0;
    const { report, signal } = this.#options;
    async function* observe(source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        hash.update(chunk);
        received += chunk.length;
        report(`downloading ${name}: ${megabytes(received)}${total > 0 ? ` of ${megabytes(total)}` : ""} MB`);
        yield chunk;
      }
    }
    await pipeline(Readable.fromWeb(response.body), observe, createWriteStream(path), {
      ...(signal && { signal }),
    });
    const actual = hash.digest("hex");
    if (actual !== sha256.toLowerCase()) {
      throw new SlipwayError(
        "ChecksumMismatch",
        `${url} has the SHA-256 ${actual}, its publisher says ${sha256}`,
        { hint: "a proxy or mirror changed the file; it was not used" },
      );
    }
    await chmod(path, mode);
  }

  async #get(url: string): Promise<Response> {
    const signal = this.#options.signal;
    const response = await fetch(url, { dispatcher: this.#dispatcher, ...(signal && { signal }) }).catch(
      (cause: unknown) => {
        signal?.throwIfAborted();
        throw new SlipwayError("DownloadFailed", `${new URL(url).host} cannot be reached`, {
          cause,
          retryable: true,
        });
      },
    );
    if (!response.ok) {
      await response.body?.cancel();
      throw new SlipwayError("DownloadFailed", `${url} answered ${response.status}`, { retryable: true });
    }
    return response;
  }
}

/** The SHA-256 for a file in the text of a checksum file: the only digest in it, or the one beside the name. */
export function checksumFor(name: string, text: string): string {
  for (const line of text.trim().split("\n")) {
    const [digest, file] = line.trim().split(/\s+\*?/);
    if (digest && /^[0-9a-f]{64}$/i.test(digest) && (file === undefined || file === name)) return digest;
  }
  throw new SlipwayError("ChecksumMissing", `the publisher's checksum list has no line for ${name}`);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
