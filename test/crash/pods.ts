import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { KubeClient } from "../../controller/kube/client.ts";
import { ConfigMap, type KubeObject, Pod, Secret } from "../../controller/kube/resources.ts";
import { PYTHON_ENVIRONMENT, TRAINER } from "../train/environment.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slipway.js");
const LOOK_MS = 150;

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/**
 * Plays a node's part for the pods of a namespace, which the cluster's own controllers make: the program that prepares
 * Datasets runs as it ships, the trainer but for its arithmetic, and a server is ready at once.
 */
export class Pods implements AsyncDisposable {
  /** What went wrong that no pod may do. */
  readonly trouble: string[] = [];
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #python: string;
  readonly #stop = new AbortController();
  /** Ends what runs in a pod, by the pod's uid. */
  readonly #running = new Map<string, AbortController>();
  readonly #looking: Promise<void>;

  /** @param python with MLflow */
  constructor(client: KubeClient, namespace: string, folder: string, python: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#folder = folder;
    this.#python = python;
    this.#looking = this.#look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    for (const running of this.#running.values()) running.abort();
  }

  async #look(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const { items } = await this.#client.list(Pod, { namespace: this.#namespace });
      const there = new Set(items.map(({ metadata }) => metadata.uid));
      for (const [uid, running] of this.#running) if (!there.has(uid)) running.abort();
      for (const pod of items) {
        const uid = pod.metadata.uid ?? "";
        if (this.#running.has(uid) || pod.metadata.deletionTimestamp) continue;
        const end = new AbortController();
        this.#running.set(uid, end);
        void this.#run(pod, end.signal).catch(async (error: unknown) => {
          // What waits to ask again when the story is over, or its pod is gone, was ended here and did nothing wrong.
          if (end.signal.aborted) return;
          if (await this.#isThere(pod)) this.trouble.push(`${pod.metadata.name}: ${String(error)}`);
        });
      }
      await sleep(LOOK_MS);
    }
  }

  async #run(pod: KubeObject, signal: AbortSignal): Promise<void> {
    switch (pod.metadata.labels?.["app.kubernetes.io/name"]) {
      case "slipway-prepare":
        return this.#ended(pod, await this.#prepare(pod, signal));
      case "slipway-trainer":
        await this.#train(pod, signal);
        return this.#ended(pod, 0);
      default: {
        const conditions = ["Initialized", "ContainersReady", "PodScheduled", "Ready"].map((type) => ({
          type,
          status: "True",
        }));
        return this.#say(pod, { phase: "Running", conditions }, { running: {} });
      }
    }
  }

  /** The program as it ships, in a process. @returns its exit status */
  async #prepare(pod: KubeObject, signal: AbortSignal): Promise<number> {
    const { args = [], env = [] } = containerOf(pod);
    const { token } = await this.#token(pod);
    const folder = await mkdtemp(join(this.#folder, "pod-"));
    const given = Object.fromEntries(env.map(({ name, value = "" }) => [name, value]));
    const child: ChildProcess = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: "ignore",
      env: { ...process.env, ...given, SLIPWAY_TOKEN: token, SLIPWAY_WORK: folder, TMPDIR: folder },
      signal,
      killSignal: "SIGKILL",
    });
    const [code] = (await once(child, "exit")) as [number | null];
    return code ?? 137;
  }

  /** The trainer as it ships, but for the model. @throws Error with its last words */
  async #train(pod: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, token } = await this.#token(pod);
    const { data } = await this.#client.get<KubeObject & { data: Record<string, string> }>(
      ConfigMap,
      this.#namespace,
      name,
    );
    const folder = await mkdtemp(join(this.#folder, "pod-"));
    const spec = join(folder, "spec.json");
    await writeFile(spec, data["spec.json"] ?? "");
    const given = { SLIPWAY_URL: data.url, SLIPWAY_TOKEN: token, SLIPWAY_WORK: folder, TMPDIR: folder };
    await promisify(execFile)(this.#python, ["-m", "tests.without_arithmetic", spec], {
      cwd: TRAINER,
      env: { ...PYTHON_ENVIRONMENT, ...given },
      signal,
      killSignal: "SIGKILL",
    });
  }

  /** The Secret of the pod's work has the work's name. */
  async #token(pod: KubeObject): Promise<{ name: string; token: string }> {
    const name = pod.metadata.labels?.["batch.kubernetes.io/job-name"] ?? "";
    const secret = await this.#client.get<KubeObject & { data: Record<string, string> }>(
      Secret,
      this.#namespace,
      name,
    );
    return { name, token: Buffer.from(secret.data.token ?? "", "base64").toString() };
  }

  /** A pod whose Job was deleted ends in the middle of anything, and nobody hears of it. */
  async #isThere({ metadata }: KubeObject): Promise<boolean> {
    const { items } = await this.#client.list(Pod, { namespace: this.#namespace });
    return items.some((each) => each.metadata.uid === metadata.uid && !each.metadata.deletionTimestamp);
  }

  #ended(pod: KubeObject, exitCode: number): Promise<void> {
    return this.#say(pod, { phase: exitCode === 0 ? "Succeeded" : "Failed" }, { terminated: { exitCode } });
  }

  async #say(pod: KubeObject, status: object, state: object): Promise<void> {
    const { name, image } = containerOf(pod);
    const container = { name, image, imageID: "", ready: "running" in state, restartCount: 0, state };
    await this.#client.patch(
      Pod,
      this.#namespace,
      pod.metadata.name,
      { status: { ...status, containerStatuses: [container] } },
      { subresource: "status", contentType: "application/merge-patch+json" },
    );
  }
}

function containerOf({ spec }: KubeObject): Container {
  const [container] = (spec as { containers: Container[] }).containers;
  return container!;
}
