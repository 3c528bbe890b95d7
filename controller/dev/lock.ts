import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { identify, isAlive } from "./process-table.ts";
import type { Report } from "./progress.ts";

const Holder = z.object({ id: z.string(), pid: z.int(), startTime: z.string(), host: z.string() });

const POLL_MS = 100;

export interface LockOptions {
  /** What is locked, for the message shown while waiting. */
  readonly subject: string;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` while holding a lock file. A second caller, in this process or another, waits and says so;
 * the lock of a process that has died is taken over. The file appears complete (hard link of a finished
 * file) and is gone afterwards.
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const id = await acquire(path, options);
  try {
    return await work();
  } finally {
    if ((await read(path))?.id === id) await rm(path, { force: true });
  }
}

async function acquire(path: string, { subject, report, signal }: LockOptions): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const self = await identify(process.pid);
  const id = randomUUID();
  const draft = `${path}.${id}`;
  await writeFile(
    draft,
    JSON.stringify({ id, pid: process.pid, startTime: self?.startTime ?? "", host: hostname() }),
  );
  const started = Date.now();
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (await tryLink(draft, path)) return id;
      const holder = await read(path);
      if (holder && (await isAbandoned(holder))) await removeAbandoned(path, holder.id);
      else {
        const waited = Math.round((Date.now() - started) / 1000);
        if (holder) report(`waiting for ${subject}, in use by process ${holder.pid}: ${waited} s`);
        await sleep(POLL_MS, undefined, { signal });
      }
    }
  } finally {
    await rm(draft, { force: true });
  }
}

async function tryLink(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function read(path: string): Promise<z.infer<typeof Holder> | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return Holder.parse(JSON.parse(text));
  } catch {
    // Never written by this program in one piece, so nobody holds it.
    return { id: text, pid: 0, startTime: "", host: hostname() };
  }
}

async function isAbandoned(holder: z.infer<typeof Holder>): Promise<boolean> {
  // A process of another machine or container (a shared home folder) cannot be judged from here.
  return holder.host === hostname() && !(await isAlive(holder));
}

/** Removes the lock only when it is still the one judged: a faster taker may have put its own there. */
async function removeAbandoned(path: string, id: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await read(aside))?.id !== id) await tryLink(aside, path);
  await rm(aside, { force: true });
}

/** Whether a live process holds the lock now. */
export async function isLocked(path: string): Promise<boolean> {
  const holder = await read(path);
  return holder !== undefined && !(await isAbandoned(holder));
}
