import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SlipwayError } from "../../errors.ts";

export interface RemoteFile {
  /** Relative, without `..`: the source has checked it. */
  readonly path: string;
  readonly bytes?: number | undefined;
  /** `sha256:…` where it is known before. */
  readonly digest?: string | undefined;
  /** Git's object id, where that is known instead: see PinnedFile. */
  readonly gitOid?: string | undefined;
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
/** Nobody writes a partial file that was not written to for this long: all tries together take less. */
const ABANDONED_MS = 3_600_000;

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
  await removeAbandoned(folder, new Set(files.map(({ path }) => path)));
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

/** Parts that pods left behind which are gone: a cache would keep them for ever, each as large as a model. */
async function removeAbandoned(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  for (const path of found) {
    if (!path.endsWith(".partial") || wanted.has(path)) continue;
    const { mtimeMs = Date.now() } = (await stat(join(folder, path)).catch(() => undefined)) ?? {};
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(folder, path), { force: true });
  }
}

/** What comes after the first bytes. */
export async function* without(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let skip = bytes;
  for await (const chunk of chunks) {
    const fresh = chunk.subarray(Math.min(skip, chunk.byteLength));
    skip -= chunk.byteLength - fresh.byteLength;
    if (fresh.byteLength > 0) yield fresh;
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

/** Of what lies on the disk, all of it: parts may have come from another container than this one. */
async function check({ path, bytes, digest, gitOid }: RemoteFile, partial: string): Promise<void> {
  const { size } = await stat(partial);
  const found = [
    [`${size} bytes`, bytes === undefined ? undefined : `${bytes} bytes`],
    digest === undefined ? [] : [`sha256:${await hashed(partial, createHash("sha256"))}`, digest],
    gitOid === undefined
      ? []
      : [
          `git's object id ${await hashed(partial, createHash("sha1").update(`blob ${size}\0`))}`,
          `git's object id ${gitOid}`,
        ],
  ];
  const wrong = found.find(([is, promised]) => promised !== undefined && is !== promised);
  if (!wrong) return;
  await rm(partial);
  throw new SlipwayError("DigestMismatch", `${path} has ${wrong[0]}, not ${wrong[1]} as promised`, {
    hint: "it is read again; if that happens each time, the source serves something else than it lists",
    retryable: true,
  });
}

async function hashed(path: string, hash: Hash): Promise<string> {
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
