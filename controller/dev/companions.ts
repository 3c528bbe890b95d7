import { mkdir } from "node:fs/promises";
import { cacheRoot } from "./paths.ts";
import { logPath, startDaemon, waitReady, withFreePort } from "./process.ts";
import type { Report } from "./progress.ts";
import { type InstanceOptions, removeInstance, withInstance } from "./state.ts";

/** A command that runs in the background for the demo: it outlives the demo with `--keep`. */
export interface Companion {
  /** Its HTTP address. */
  readonly url: string;
  readonly logFile: string;
}

export interface CompanionOptions {
  /** Of the demo: the folder of its background processes. */
  readonly folder: string;
  readonly name: "controller" | "model" | "hub" | "alertmanager";
  /** The program and its first arguments, e.g. node and bin/slipway.js. */
  readonly command: readonly [string, ...string[]];
  /** Arguments for a port to listen on. */
  readonly args: (port: number) => readonly string[];
  /** Where it listens; the loopback interface unless given. */
  readonly address?: string;
  /** Path that answers 200 once it works. */
  readonly readyPath: string;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** Starts a command and waits until it works. */
export async function startCompanion(options: CompanionOptions): Promise<Companion> {
  const { folder, name, command, args, readyPath, report, signal, address = "127.0.0.1" } = options;
  const [program, ...first] = command;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return withFreePort(async (port) => {
    const env = { SLIPWAY_CACHE_DIR: cacheRoot() };
    const daemon = await startDaemon({ folder, name, program, args: [...first, ...args(port)], env });
    const url = `http://${address}:${port}`;
    await waitReady(name, { daemons: [daemon], folder, timeoutMs: 120_000, report, signal }, async () => {
      const response = await fetch(url + readyPath, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      return response?.status === 200;
    });
    return { url, logFile: logPath(folder, name) };
  });
}

/** Stops the background processes of a demo and removes their files. */
export async function stopCompanions(options: InstanceOptions): Promise<void> {
  await withInstance("demos", options, removeInstance);
}
