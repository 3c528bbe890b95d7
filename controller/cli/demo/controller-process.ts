import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { SlipwayError } from "../../errors.ts";

/** `slipway controller` as a process of its own, the way a cluster runs it. */
export class ControllerProcess {
  readonly #child: ChildProcess;
  /** Base of /healthz, /metrics and /webhooks. */
  readonly url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** Starts it and waits until its caches are filled; its log goes to a file. */
  static async start(options: {
    kubeconfig: string;
    stateDir: string;
    logFile: string;
    signal: AbortSignal;
  }): Promise<ControllerProcess> {
    const program = process.argv[1] ?? "slipway";
    const child = spawn(
      process.execPath,
      [
        program,
        "controller",
        "--kubeconfig",
        options.kubeconfig,
        "--state-dir",
        options.stateDir,
        "--port",
        "0",
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const log = createWriteStream(options.logFile, { flags: "a" });
    child.stderr.pipe(log);
    const ready = new AbortController();
    const limit = AbortSignal.any([options.signal, ready.signal, AbortSignal.timeout(60_000)]);
    const died = once(child, "exit", { signal: limit }).then(([code]) => {
      throw new SlipwayError(
        "ControllerDied",
        `the controller ended with status ${code}: see ${options.logFile}`,
      );
    });
    const listening = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        const { url } = JSON.parse(line) as { url?: string };
        if (url !== undefined) return url;
      }
      throw new SlipwayError("ControllerDied", `the controller did not start: see ${options.logFile}`);
    })();
    try {
      const url = await Promise.race([listening, died]);
      ready.abort();
      died.catch(() => {});
      return new ControllerProcess(child, url);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
    await once(this.#child, "exit");
    clearTimeout(timer);
  }
}
