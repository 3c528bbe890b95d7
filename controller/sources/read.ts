import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SlipwayError } from "../errors.ts";
import { changed, header, requestSource, type SourceAnswer, shown } from "./request.ts";
import type { PinnedFile, ReadOptions, SourceAccess } from "./types.ts";

/** Broken connections in a row, with nothing read between them, before it is given up. */
const MAX_FAILURES = 5;
const RETRY_DELAY_MS = 500;

/**
 * The content of a pinned file. A broken connection is resumed where it broke, by Range, if the server still has the
 * same content; size and digest are checked before the stream ends, so what ends well is what was pinned.
 * @throws SlipwayError SourceTooLarge, DigestMismatch, SourceInterrupted (retryable), and those of requestSource
 */
export async function* readFile(
  file: PinnedFile,
  access: SourceAccess,
  { signal, maxBytes, retryDelayMs = RETRY_DELAY_MS }: ReadOptions,
): AsyncGenerator<Uint8Array> {
  if (file.bytes !== undefined && file.bytes > maxBytes) throw tooLarge(file, maxBytes);
  const sha256 = createHash("sha256");
  const git = file.gitOid && createHash("sha1").update(`blob ${file.bytes}\0`);
  let { etag, bytes } = file;
  let at = 0;
  for (let failures = 0; ; ) {
    let broken: unknown;
    try {
      const answer = await openAt(file.url, at, etag, access, signal);
      const here = strong(header(answer, "etag"));
      if (at === 0 && etag !== undefined && here !== undefined && here !== etag)
        throw discard(answer, changed(file.url));
      etag ??= here;
      let skip = answer.statusCode === 206 ? 0 : at;
      bytes ??= answer.statusCode === 200 ? lengthOf(answer) : undefined;
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
        const fresh = skip > 0 ? chunk.subarray(skip) : chunk;
        skip = Math.max(0, skip - chunk.byteLength);
        if (fresh.byteLength === 0) continue;
        at += fresh.byteLength;
        if (at > maxBytes) throw tooLarge(file, maxBytes);
        failures = 0;
        sha256.update(fresh);
        if (git) git.update(fresh);
        yield fresh;
      }
      if (bytes === undefined || at >= bytes) break;
      broken = new Error(`the connection ended after ${at} of ${bytes} bytes`);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SlipwayError && !(error.code === "SourceUnavailable")) throw error;
      broken = error;
    }
    if (++failures >= MAX_FAILURES || (at > 0 && etag === undefined)) throw interrupted(file, at, broken);
    await sleep(retryDelayMs * 2 ** (failures - 1), undefined, { signal });
  }
  if (bytes !== undefined && at !== bytes) throw mismatch(file, `has ${at} bytes, not ${bytes}`);
  const digest = `sha256:${sha256.digest("hex")}`;
  if (file.digest !== undefined && digest !== file.digest)
    throw mismatch(file, `has the digest ${digest}, not ${file.digest}`);
  if (git && git.digest("hex") !== file.gitOid)
    throw mismatch(file, "is not the content that its commit names");
}

/** @throws SlipwayError SourceChanged when the server no longer has the content that was begun */
async function openAt(
  url: string,
  at: number,
  etag: string | undefined,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<SourceAnswer> {
  const headers: Record<string, string> =
    at === 0 || etag === undefined ? {} : { range: `bytes=${at}-`, "if-range": etag };
  const answer = await requestSource({ method: "GET", url, headers, signal }, access);
  if (at === 0) return answer;
  const range = /^bytes (\d+)-/.exec(header(answer, "content-range") ?? "");
  const wrongPlace = answer.statusCode === 206 && Number(range?.[1]) !== at;
  const here = strong(header(answer, "etag"));
  // A server without ranges begins again: good as long as it says that it is the same.
  if (
    wrongPlace ||
    (here === undefined && answer.statusCode !== 206) ||
    (here !== undefined && here !== etag)
  ) {
    throw discard(answer, changed(url));
  }
  return answer;
}

/** Leaves an answer unread; its connection's end is nobody's error. */
function discard(answer: SourceAnswer, error: SlipwayError): SlipwayError {
  answer.body.on("error", () => {}).destroy();
  return error;
}

/** A weak validator promises the meaning, not the bytes. */
export function strong(etag: string | undefined): string | undefined {
  return etag === undefined || etag.startsWith("W/") ? undefined : etag;
}

export function lengthOf(answer: SourceAnswer): number | undefined {
  const length = header(answer, "content-length");
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

function tooLarge({ path }: PinnedFile, maxBytes: number): SlipwayError {
  return new SlipwayError("SourceTooLarge", `${path} is larger than ${maxBytes} bytes`, {
    location: { file: path },
  });
}

function mismatch({ path }: PinnedFile, what: string): SlipwayError {
  return new SlipwayError("DigestMismatch", `${path} ${what}`, {
    location: { file: path },
    hint: "the source serves something else than what was asked for; nothing of it was used",
  });
}

function interrupted({ path, url }: PinnedFile, at: number, cause: unknown): SlipwayError {
  return new SlipwayError("SourceInterrupted", `${path} broke off after ${at} bytes (${shown(url)})`, {
    location: { file: path },
    retryable: true,
    cause,
  });
}
