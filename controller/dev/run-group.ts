import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { OWNER_VARIABLE } from "./process-table.ts";

export interface GroupOptions {
  /** Folder that its processes are marked with, so that a later run finds them after a crash of this one. */
  readonly owner: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Each line of what it prints. */
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a program in a process group of its own, so that stopping it stops what it has started. Its end is awaited, also
 * of one that is stopped: nothing writes any more then.
 * @returns its exit status
 * @throws the signal's reason, or Error where the program cannot be started
 */
export async function runGroup(
  program: string,
  args: readonly string[],
  { owner, cwd, env, onLine, signal }: GroupOptions,
): Promise<number | null> {
  signal?.throwIfAborted();
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env, [OWNER_VARIABLE]: owner },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const stop = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    } catch {
      // It has ended just now.
    }
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", onLine);
    const [code] = (await once(child, "close")) as [number | null];
    signal?.throwIfAborted();
    return code;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
