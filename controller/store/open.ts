import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createAppliedStore } from "./applied.ts";
import { openBlobStore } from "./blobs.ts";
import { openDatabase } from "./database.ts";
import { createIntentLog } from "./intents.ts";
import { lockFolder } from "./lock.ts";
import { createReportStore } from "./reports.ts";
import { createResultCache } from "./results.ts";
import type { StateStore } from "./store.ts";
import type { WriteHook } from "./write-hook.ts";

export interface OpenOptions {
  readonly onWrite?: WriteHook;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * Opens the state of one controller: `state.db` (SQLite) and `blobs/`.
 * The methods are promises although SQLite answers at once, so that another database can take its place.
 * @throws SlipwayError StateInUse when another live process has the folder, StateTooNew
 */
export async function openStateStore(dir: string, options: OpenOptions = {}): Promise<StateStore> {
  const now = options.now ?? Date.now;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const unlock = lockFolder(dir);
  try {
    const blobs = await openBlobStore(join(dir, "blobs"), options.onWrite);
    const db = openDatabase(join(dir, "state.db"));
    return {
      intents: createIntentLog(db, now, options.onWrite),
      blobs,
      results: createResultCache(db, now, options.onWrite),
      applied: createAppliedStore(db, options.onWrite),
      reports: createReportStore(db, options.onWrite),
      async close() {
        db.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}
