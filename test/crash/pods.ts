import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { blobDigest, canonicalJson } from "../../controller/graph/canonical.ts";
import type { KubeClient } from "../../controller/kube/client.ts";
import { ConfigMap, type KubeObject, Pod, Secret } from "../../controller/kube/resources.ts";
import { WorkClient } from "../../controller/work/client.ts";

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
 * Datasets runs as it ships, a trainer keeps the contract of workers/trainer/README.md without training, and a server
 * is ready at once.
 */
export class Pods implements AsyncDisposable {
  /** What went wrong that no pod may do. */
  readonly trouble: string[] = [];
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #stop = new AbortController();
  /** Ends what runs in a pod, by the pod's uid. */
  readonly #running = new Map<string, AbortController>();
  readonly #looking: Promise<void>;

  constructor(client: KubeClient, namespace: string, folder: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#folder = folder;
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

  /** Reads its rows, stores a model that is made of nothing but their digest, and says so. */
  async #train(pod: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, token } = await this.#token(pod);
    const { data } = await this.#client.get<KubeObject & { data: Record<string, string> }>(
      ConfigMap,
      this.#namespace,
      name,
    );
    const spec = JSON.parse(data["spec.json"] ?? "") as {
      readonly dataset: { readonly digest: string };
      readonly baseModel: { readonly source: string };
    };
    const work = new WorkClient(data.url ?? "", token, signal);
    await work.report({
      state: "Running",
      progress: { phase: "Training", step: 1, totalSteps: 2, percent: 50 },
    });
    await work.download(spec.dataset.digest, async (content) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      return { digest: blobDigest(Buffer.concat(chunks)) };
    });
    const weights = Buffer.from(`weights of ${spec.dataset.digest}`);
    const file = { path: "model.safetensors", digest: blobDigest(weights), bytes: weights.byteLength };
    const manifest = Buffer.from(canonicalJson({ version: 1, type: "model", files: [file], metadata: {} }));
    for (const content of [weights, manifest])
      await work.upload(async () => Readable.from([content]), blobDigest(content));
    const artifact = { digest: blobDigest(manifest), type: "model", bytes: file.bytes };
    const base = { source: spec.baseModel.source, resolved: `hf://team/base@${"c".repeat(40)}` };
    await work.report({ state: "Succeeded", result: { artifact, base, steps: 2 } });
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
