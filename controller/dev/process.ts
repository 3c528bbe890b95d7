import { spawn } from "node:child_process";
import { mkdir, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { SlipwayError } from "../errors.ts";
import { findOwned, identify, isAlive, OWNER_VARIABLE, type ProcessIdentity } from "./process-table.ts";
import type { Report } from "./progress.ts";

const Recorded = z.object({ name: z.string(), pid: z.int().positive(), startTime: z.string().min(1) });

/** A background process recorded in a state folder. */
export type Daemon = z.infer<typeof Recorded>;

export interface DaemonSpec {
  /** The state folder: working directory, log, record. Its path also marks the process as owned by it. */
  readonly folder: string;
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a process that outlives this one, with its output in `logs/<name>.log`, and records its number
 * together with its start time, so that a number that is used again is never mistaken for it.
 */
export async function startDaemon({ folder, name, program, args, env }: DaemonSpec): Promise<Daemon> {
  await mkdir(join(folder, "logs"), { recursive: true, mode: 0o700 });
  await mkdir(join(folder, "processes"), { recursive: true, mode: 0o700 });
  const log = await open(logPath(folder, name), "w", 0o600);
  try {
    const child = spawn(program, args, {
      cwd: folder,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      // Nothing of the user's environment that could change behaviour or leak into a log.
      env: { PATH: process.env.PATH ?? "", HOME: folder, TMPDIR: folder, ...env, [OWNER_VARIABLE]: folder },
    });
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    child.unref();
    const identity = await identify(child.pid ?? 0);
    if (identity === undefined) throw await exited(folder, name);
    const daemon = { name, ...identity };
    const record = join(folder, "processes", `${name}.json`);
    await writeFile(`${record}.draft`, JSON.stringify(daemon), { mode: 0o600 });
    await rename(`${record}.draft`, record);
    return daemon;
  } catch (cause) {
    if (cause instanceof SlipwayError) throw cause;
    throw new SlipwayError("ProcessNotStarted", `${name} could not be started from ${program}`, { cause });
  } finally {
    await log.close();
  }
}

/** Where a process's output goes. */
export function logPath(folder: string, name: string): string {
  return join(folder, "logs", `${name}.log`);
}

/** The processes recorded in a state folder, running or not. */
export async function recordedDaemons(folder: string): Promise<Daemon[]> {
  const entries = await readdir(join(folder, "processes")).catch(() => []);
  const daemons: Daemon[] = [];
  for (const entry of entries.filter((file) => file.endsWith(".json")).sort()) {
    const text = await readFile(join(folder, "processes", entry), "utf8").catch(() => "");
    try {
      daemons.push(Recorded.parse(JSON.parse(text)));
    } catch {
      // Cut off by a crash of the machine: the process is gone as well.
    }
  }
  return daemons;
}

export interface ReadyOptions {
  readonly daemons: readonly Daemon[];
  readonly folder: string;
  readonly timeoutMs: number;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits until `check` answers true. Fails at once, with the end of its log, when one of the processes
 * ends, and with `NotReady` when the time is over.
 */
export async function waitReady(
  title: string,
  { daemons, folder, timeoutMs, report, signal }: ReadyOptions,
  check: () => Promise<boolean>,
): Promise<void> {
  const started = Date.now();
  for (;;) {
    signal?.throwIfAborted();
    if (await check()) return;
    for (const daemon of daemons) if (!(await isAlive(daemon))) throw await exited(folder, daemon.name);
    const elapsed = Date.now() - started;
    if (elapsed > timeoutMs) {
      const tails = await Promise.all(daemons.map((daemon) => logTail(folder, daemon.name, 5)));
      throw new SlipwayError("NotReady", `${title} not ready after ${elapsed / 1000} s\n${tails.join("\n")}`);
    }
    report(`waiting for ${title}: ${Math.round(elapsed / 1000)} s`);
    await sleep(100, undefined, { signal });
  }
}

/** How long processes get to end by themselves. */
const GRACE_MS = 3_000;

/**
 * Ends every process of a state folder: those recorded and, on Linux, all that carry its mark. SIGTERM
 * first, SIGKILL to what still runs after three seconds. Returns when none is left.
 */
export async function stopDaemons(folder: string): Promise<void> {
  let left = await running(folder);
  if (left.length === 0) return;
  for (const process of left) signalProcess(process, "SIGTERM");
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && left.length > 0) {
    await sleep(50);
    left = await running(folder);
  }
  // Killed processes can have started others in between; look until nothing is found.
  for (let round = 0; left.length > 0; round++) {
    if (round > 100) {
      const numbers = left.map((process) => process.pid).join(", ");
      throw new SlipwayError("ProcessNotStopped", `processes ${numbers} of ${folder} do not end`);
    }
    for (const process of left) signalProcess(process, "SIGKILL");
    await sleep(50);
    left = await running(folder);
  }
}

async function running(folder: string): Promise<ProcessIdentity[]> {
  const found = new Map((await findOwned(folder)).map((process) => [process.pid, process]));
  for (const daemon of await recordedDaemons(folder))
    if (await isAlive(daemon)) found.set(daemon.pid, daemon);
  return [...found.values()];
}

function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): void {
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function exited(folder: string, name: string): Promise<SlipwayError> {
  return new SlipwayError("ProcessExited", `${name} ended unexpectedly\n${await logTail(folder, name, 15)}`);
}

async function logTail(folder: string, name: string, lines: number): Promise<string> {
  const text = await readFile(logPath(folder, name), "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** A TCP port on the loopback interface that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}

/** Starts something on a free port; again with another one when a different program was faster. */
export async function withFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (
        attempt >= 3 ||
        !(error instanceof SlipwayError) ||
        !error.message.includes("address already in use")
      ) {
        throw error;
      }
    }
  }
}
