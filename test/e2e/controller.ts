import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "../../controller/kube/client.ts";
import { writeControllerKubeconfig } from "../scenario/cluster.ts";
import { waitFor } from "../scenario/wait.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");

/** `slipway controller` as users start it, with the rights of its own ServiceAccount. */
export class Controller implements AsyncDisposable {
  /** Of /webhooks, /metrics and the probes. */
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.url = url;
  }

  /**
   * Returns when it says that it is ready. The controller's account has to exist.
   * @param env more of its environment
   */
  static async start(client: KubeClient, env: Readonly<Record<string, string>> = {}): Promise<Controller> {
    const folder = await mkdtemp(join(tmpdir(), "slipway-e2e-"));
    const kubeconfig = join(folder, "kubeconfig");
    await writeControllerKubeconfig(client, kubeconfig);
    const [out, log] = ["out", "log"].map((name) => openSync(join(folder, name), "w"));
    const args = ["controller", "--kubeconfig", kubeconfig, "--state-dir", join(folder, "state")];
    const child = spawn(process.execPath, [PROGRAM, ...args, "--port", "0"], {
      stdio: ["ignore", out, log],
      env: { ...process.env, SLIPWAY_LOG_LEVEL: "debug", ...env },
    });
    const read = (name: string) => readFile(join(folder, name), "utf8");
    try {
      const said = await waitFor(
        "the controller to listen",
        () => read("out"),
        (text) => text.includes("\n"),
        { context: () => read("log") },
      );
      const { url } = JSON.parse(said.split("\n")[0] ?? "") as { url: string };
      await waitFor(
        "the controller to be ready",
        async () => (await fetch(`${url}/readyz`)).status,
        (status) => status === 200,
        { context: () => read("log") },
      );
      return new Controller(child, folder, url);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Everything it has logged, at the most talkative level. */
  log(): Promise<string> {
    return readFile(join(this.#folder, "log"), "utf8");
  }

  /** The last of its warnings and errors. */
  async complaints(): Promise<string> {
    const lines = (await this.log()).split("\n").filter((line) => /^\{"level":[456]0/.test(line));
    return lines.slice(-8).join("\n");
  }

  /** Stops it as Kubernetes does. @throws Error when it does not end well */
  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
      child.kill("SIGTERM");
      await once(child, "exit");
      clearTimeout(timer);
    }
    const log = await this.log();
    await rm(this.#folder, { recursive: true, force: true });
    if (child.exitCode !== 0) {
      throw new Error(
        `the controller ended with ${child.signalCode ?? child.exitCode}\n${log.slice(-4_000)}`,
      );
    }
  }
}
