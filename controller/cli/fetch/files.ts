import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SlipwayError } from "../../errors.ts";

export interface RemoteFile {
  /** Relative, without `..`: the source has checked it. */
  readonly path: string;
  readonly bytes?: number | undefined;
  /** `sha256:…` where it is known before; the source checks what it knows otherwise. */
  readonly digest?: string | undefined;
  /** The content from a byte on. */
  readonly read: (start: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

export interface Content {
  readonly reference: string;
  readonly files: readonly RemoteFile[];
}

export interface ReadFilesOptions {
  readonly signal: AbortSignal;
  readonly concurrency: number;
  readonly say: (text: string) => void;
  /** Milliseconds between tries. */
  readonly retryMs?: number;
}

/** Tries in a row that bring not one byte. */
const MAX_FAILURES = 8;
const RETRY_MS = 2_000;
const PROGRESS_MS = 10_000;

/**
 * Brings all files into a folder. A file appears under its name only whole and checked, so that whoever finds it may
 * use it, and what is there already is not read again. A broken one goes on where it broke.
 * @throws SlipwayError of the source, or DigestMismatch
 */
export async function readFiles(
  { reference, files }: Content,
  folder: string,
  { signal, concurrency, say, retryMs = RETRY_MS }: ReadFilesOptions,
): Promise<void> {
  const total = files.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  say(`${reference}: ${files.length} files, ${megabytes(total)}`);
  let done = 0;
  const timer = setInterval(() => say(`${megabytes(done)} of ${megabytes(total)}`), PROGRESS_MS);
  try {
    const waiting = [...files];
    const worker = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        signal.throwIfAborted();
        const path = join(folder, file.path);
        const known = await isThere(path, file);
        if (!known) await readFile(file, path, { signal, retryMs, count: (bytes) => (done += bytes) });
        say(`${file.path}: ${known ? "is there" : "read"}`);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  } finally {
    clearInterval(timer);
  }
}

/** Under its name it is whole: it was renamed when it was checked. Only a file of another size is read again. */
async function isThere(path: string, { bytes }: RemoteFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && (bytes === undefined || found.size === bytes);
}

interface ReadOptions {
  readonly signal: AbortSignal;
  readonly retryMs: number;
  readonly count: (bytes: number) => void;
}

async function readFile(file: RemoteFile, path: string, options: ReadOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // Of this pod: another one that fills the same cache writes its own.
  const partial = `${path}.${hostname()}.partial`;
  for (let failures = 0; ; ) {
    const before = (await stat(partial).catch(() => undefined))?.size ?? 0;
    try {
      await append(file, partial, before, options);
      break;
    } catch (error) {
      const after = (await stat(partial).catch(() => undefined))?.size ?? 0;
      failures = after > before ? 0 : failures + 1;
      const final = error instanceof SlipwayError && !error.retryable;
      if (final || options.signal.aborted || failures >= MAX_FAILURES) throw error;
      await sleep(options.retryMs, undefined, { signal: options.signal });
    }
  }
  await check(file, partial);
  await rename(partial, path);
}

async function append(file: RemoteFile, partial: string, start: number, options: ReadOptions): Promise<void> {
  const { signal, count } = options;
  if (file.bytes !== undefined && start >= file.bytes) return;
  const output = await open(partial, "a");
  try {
    for await (const chunk of file.read(start, signal)) {
      await output.write(chunk);
      count(chunk.byteLength);
    }
    await output.sync();
  } finally {
    await output.close();
  }
}

async function check({ path, bytes, digest }: RemoteFile, partial: string): Promise<void> {
  const { size } = await stat(partial);
  const hash = createHash("sha256");
  if (digest !== undefined) for await (const chunk of createReadStream(partial)) hash.update(chunk as Buffer);
  const found = `sha256:${hash.digest("hex")}`;
  const right = (bytes === undefined || size === bytes) && (digest === undefined || found === digest);
  if (right) return;
  await rm(partial);
  throw new SlipwayError(
    "DigestMismatch",
    `${path} has ${size} bytes${digest === undefined ? "" : ` and ${found}`}, not ${bytes ?? "the"} bytes${digest === undefined ? "" : ` and ${digest}`} that were promised`,
    { retryable: true },
  );
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
