import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SlipwayError } from "../errors.ts";

/**
 * Takes the state folder for this process. The lock is SQLite's own file lock on a file beside the data, so
 * that the kernel drops it the moment the holder dies, however it dies; there is no stale pid file to judge.
 * @returns gives the folder back
 * @throws SlipwayError StateInUse
 */
export function lockFolder(dir: string): () => void {
  const holder = join(dir, "holder.json");
  const db = new DatabaseSync(join(dir, "lock.db"));
  try {
    db.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if ((error as { errcode?: number }).errcode !== 5) throw error; // 5 is SQLITE_BUSY
    throw new SlipwayError("StateInUse", `the state folder ${dir} is in use by ${describeHolder(holder)}`, {
      hint: "stop the other process, or give this one a folder of its own",
    });
  }
  writeFileSync(holder, JSON.stringify({ pid: process.pid, host: hostname() }));
  return () => db.close();
}

function describeHolder(path: string): string {
  try {
    const { pid, host } = JSON.parse(readFileSync(path, "utf8")) as { pid: number; host: string };
    return `process ${pid} on ${host}`;
  } catch {
    return "another process";
  }
}
