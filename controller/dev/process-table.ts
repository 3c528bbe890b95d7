import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in the system's own notation (clock ticks since boot on Linux); only ever compared. */
  readonly startTime: string;
}

/** The environment variable that marks everything started for one state folder. */
export const OWNER_VARIABLE = "SLIPWAY_DEV_OWNER";

/** When the process with this number started, or undefined when there is none (a zombie counts as none). */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  if (process.platform !== "linux") {
    const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
    return stdout.trim() || undefined;
  }
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat === undefined ? undefined : parseStat(stat);
}

/** Field 22 of proc(5)'s stat; the command name before it may itself contain blanks and parentheses. */
export function parseStat(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** The identity of a running process, or undefined when it has ended. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Whether exactly this process still runs. */
export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(process.pid)) === process.startTime;
}

/**
 * Running processes that were started for a state folder, found by the mark in their environment. This
 * finds also those whose starter was killed before it could record them, and their children. Linux only;
 * elsewhere the answer is empty and the recorded processes are all that is known.
 */
export async function findOwned(owner: string): Promise<ProcessIdentity[]> {
  if (process.platform !== "linux") return [];
  const mark = Buffer.from(`${OWNER_VARIABLE}=${owner}\0`);
  const found: ProcessIdentity[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const environment = await readFile(`/proc/${entry}/environ`).catch(() => undefined);
    const at = environment?.indexOf(mark) ?? -1;
    if (at < 0 || (at > 0 && environment?.[at - 1] !== 0)) continue;
    const identity = await identify(Number(entry));
    if (identity) found.push(identity);
  }
  return found;
}

/** Resident memory in bytes, where the system tells. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
