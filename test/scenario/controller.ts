import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitFor } from "./wait.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");

export interface ControllerOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  /** An empty folder, or one that a controller has left. */
  readonly stateDir: string;
  readonly logFile: string;
  readonly leaderElection?: boolean;
  /** Address that pods reach, e.g. the host's on a node's network, and a free port there; pods then get work. */
  readonly reachableAt?: { readonly host: string; readonly port: number };
}

/** `slipway controller` in a process of its own, as it ships. */
export class ControllerProcess implements AsyncDisposable {
  /** Base of /metrics and /webhooks. */
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** Starts it and waits until it leads with full caches. */
  static async start(options: ControllerOptions): Promise<ControllerProcess> {
    const log = openSync(options.logFile, "a");
    const args = [
      ...["controller", "--kubeconfig", options.kubeconfig, "--namespace", options.namespace],
      ...["--state-dir", options.stateDir],
      ...(options.reachableAt ? reachable(options.reachableAt) : ["--port", "0"]),
      ...(options.leaderElection ? ["--leader-elect"] : []),
    ];
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", log] });
    closeSync(log);
    try {
      const controller = new ControllerProcess(child, await urlOf(child, options.logFile));
      await waitFor(
        "the controller to lead",
        () => controller.metric("slipway_leader"),
        (leads) => leads === 1,
        { timeoutMs: 60_000, signal: exitSignal(child) },
      );
      return controller;
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** The sum of a metric's series, or of those with these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const response = await fetch(`${this.url}/metrics`, { signal: AbortSignal.timeout(10_000) });
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    let sum = 0;
    let found = false;
    for (const line of (await response.text()).split("\n")) {
      const [, series, shown = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (series !== name) continue;
      found = true;
      if (wanted.every((label) => shown.split(",").includes(label))) sum += Number(value);
    }
    if (!found) throw new Error(`${this.url}/metrics has no ${name}`);
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await once(child, "exit");
    clearTimeout(timer);
  }
}

function reachable({ host, port }: NonNullable<ControllerOptions["reachableAt"]>): string[] {
  return ["--host", host, "--port", String(port), "--work-url", `http://${host}:${port}`];
}

async function urlOf(child: ChildProcess, logFile: string): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const { url } = JSON.parse(line) as { url?: string };
    if (url !== undefined) return url;
  }
  throw new Error(`the controller did not start: see ${logFile}`);
}

function exitSignal(child: ChildProcess): AbortSignal {
  const exited = new AbortController();
  child.once("exit", (code) => exited.abort(new Error(`the controller ended with status ${code}`)));
  return exited.signal;
}
