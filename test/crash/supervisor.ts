import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { UnderTest } from "./controller-under-test.ts";
import { describePoint, type KillPoint } from "./kill-switch.ts";

export interface SupervisorOptions extends Omit<UnderTest, "crashAt"> {
  readonly logFile: string;
  /** Those at the state store are its own to die at. */
  readonly points: readonly KillPoint[];
  /** Added to the controller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onKilled: () => void;
}

/** Keeps a controller running: whenever it is killed, another starts at once on the same state. */
export class Supervisor implements AsyncDisposable {
  readonly #options: SupervisorOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #kills = 0;
  readonly #ended = new AbortController();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#start();
  }

  /** How often it was killed. */
  get kills(): number {
    return this.#kills;
  }

  /** Aborts when a controller ended by itself, which none may. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** SIGKILL, now: the process runs no further instruction of its own. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await once(child, "exit");
    clearTimeout(timer);
  }

  #start(): void {
    const { logFile, points, env, onKilled: _, ...rest } = this.#options;
    const program = join(import.meta.dirname, "controller-under-test.ts");
    const log = openSync(logFile, "a");
    const setup: UnderTest = { ...rest, crashAt: points.map(describePoint) };
    const child = spawn(process.execPath, [program, JSON.stringify(setup)], {
      // It ends with its standard input.
      stdio: ["pipe", "ignore", log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    child.once("exit", (code, signal) => {
      if (this.#stopping) return;
      if (signal === "SIGKILL") {
        this.#kills++;
        this.#options.onKilled();
        this.#start();
        return;
      }
      const how = signal ?? `status ${code}`;
      this.#ended.abort(new Error(`the controller ended by itself with ${how}`));
    });
  }
}
