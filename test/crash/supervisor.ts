import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";

export interface SupervisorOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly stateDir: string;
  /** Where the controller notes its writes to the state store, one a line. */
  readonly sitesFile: string;
  readonly logFile: string;
  /** A write to the state store to die at, for the first process only. */
  readonly crashAt?: string | undefined;
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
    this.#start(options.crashAt);
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

  #start(crashAt?: string): void {
    const { kubeconfig, namespace, stateDir, sitesFile, logFile } = this.#options;
    const program = join(import.meta.dirname, "controller-under-test.ts");
    const log = openSync(logFile, "a");
    const child = spawn(process.execPath, [program, kubeconfig, namespace, stateDir, sitesFile], {
      stdio: ["ignore", "ignore", log],
      env: { ...process.env, SLIPWAY_CRASH_AT: crashAt ?? "" },
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
