import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Cluster, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { type Hub, startHub } from "../../../controller/dev/hub.ts";
import { controllerImage } from "../../../controller/dev/images/controller-image.ts";
import { trainerImage } from "../../../controller/dev/images/trainer-image.ts";
import { ensureWeights } from "../../../controller/dev/model/weights.ts";
import { runInside } from "../../../controller/dev/node/namespace.ts";
import { importImage, importLayers } from "../../../controller/dev/node/node.ts";
import { requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { install, installObjects } from "../../../controller/install/objects.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Pod } from "../../../controller/kube/resources.ts";
import type { FineTuneJob, FineTuneJobSpec } from "../../../schemas/fine-tune-job.ts";
import { API_VERSION, LABEL_OWNER_UID } from "../../../schemas/kind.ts";
import { freePort } from "../../free-port.ts";
import { getObject, hasCondition, TENANT_ACCOUNT, typeOf, waitForObject } from "../../scenario/cluster.ts";
import { ControllerProcess } from "../../scenario/controller.ts";
import { Kubectl } from "../../scenario/kubectl.ts";
import { makeRows, toJsonLines } from "../../train/rows.ts";

const NAME = "training";
export const TEAM = "team-a";
export const MODEL = "smollm/gguf";
/** A training of a minute or so. */
export const SHORT = {
  maxSteps: 12,
  batchSize: 2,
  learningRate: 0.002,
  maxSequenceLength: 64,
  saveSteps: 3,
} as const;

/** A real node with the trainer's image, a hub with a small real model and rows, and a controller that pods reach. */
export class TrainingWorld implements AsyncDisposable {
  readonly stateDir: string;
  readonly client: KubeClient;
  readonly kubectl: Kubectl;
  readonly hub: Hub;
  readonly weights: string;
  /** Of this machine, as pods reach it. */
  readonly hostIP: string;
  controller: ControllerProcess | undefined;
  readonly #cluster: Cluster;
  readonly #port: number;

  private constructor(stateDir: string, cluster: Cluster, hub: Hub, weights: string, port: number) {
    this.stateDir = stateDir;
    this.#cluster = cluster;
    this.hub = hub;
    this.hostIP = cluster.node!.network.hostIP;
    this.weights = basename(weights);
    this.#port = port;
    this.client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
    this.kubectl = new Kubectl(cluster.kubeconfigPath, TEAM);
  }

  static async open(): Promise<TrainingWorld> {
    await requireSystemPrograms({ report: silent });
    const stateDir = await mkdtemp(join(tmpdir(), "slipway-training-"));
    const options = { name: `${NAME}-${randomBytes(3).toString("hex")}`, stateDir, report: silent };
    const image = await trainerImage("torch", options);
    const cluster = await startCluster({ ...options, provider: "local", node: true });
    await importLayers(cluster.node!.pid, image);
    // Pods that serve fetch their model with it.
    await importImage(cluster.node!.pid, (await controllerImage(options)).file);
    const weights = await ensureWeights(options);
    const model = join(stateDir, "hub", "model");
    const rows = join(stateDir, "hub", "rows");
    for (const folder of [model, rows]) await mkdir(folder, { recursive: true });
    await copyFile(weights, join(model, basename(weights)));
    await writeFile(join(rows, "train.jsonl"), toJsonLines(makeRows(10)));
    const { hostIP } = cluster.node!.network;
    const hub = await startHub({ models: { [MODEL]: model }, datasets: { "smollm/rows": rows } }, 0, hostIP);
    const world = new TrainingWorld(stateDir, cluster, hub, weights, await freePort(hostIP));
    const objects = await installObjects({
      user: "slipway-controller",
      tenants: [`${TEAM}/${TENANT_ACCOUNT}`],
    });
    await install(world.client, objects, AbortSignal.timeout(60_000));
    await world.startController();
    return world;
  }

  async startController(): Promise<void> {
    this.controller = await ControllerProcess.start({
      kubeconfig: this.#cluster.controllerKubeconfigPath,
      namespace: TEAM,
      stateDir: join(this.stateDir, "controller"),
      logFile: join(this.stateDir, "controller.log"),
      reachableAt: { host: this.hostIP, port: this.#port },
    });
  }

  async stopController(): Promise<void> {
    await this.controller?.[Symbol.asyncDispose]();
    this.controller = undefined;
  }

  async apply(kind: string, name: string, spec: object): Promise<void> {
    const object = { apiVersion: API_VERSION, kind, metadata: { name, namespace: TEAM }, spec };
    await this.client.apply(typeOf(kind), object, { fieldManager: "test", force: true });
  }

  /** A short LoRA training of the small model on the rows, apart from what `more` says. */
  train(name: string, more: Record<string, unknown> = {}): Promise<void> {
    return this.apply("FineTuneJob", name, {
      baseModel: { source: `hf://${MODEL}`, file: this.weights, endpoint: this.hub.url },
      datasetRef: { name: "rows" },
      adapter: { r: 4, alpha: 8, targetModules: ["q_proj", "v_proj"] },
      hyperparameters: SHORT,
      // Without a request a pod gets what nobody else on the machine wants.
      pod: { resources: { requests: { cpu: "1" } } },
      ...more,
    } satisfies Partial<Record<keyof FineTuneJobSpec, unknown>>);
  }

  /** As the kernel or a dying node does it: nothing is said or stored any more. */
  async killTrainers(): Promise<void> {
    await runInside(this.#cluster.node!.pid, "pkill", ["-KILL", "-f", "slipway_trainer"]);
  }

  /** Nothing of the node is heard of any more, and what runs on it stands still; `thaw` ends that. */
  freezeNode = (): Promise<void> => this.#signalNode("STOP");
  thawNode = (): Promise<void> => this.#signalNode("CONT");

  async #signalNode(signal: "STOP" | "CONT"): Promise<void> {
    for (const which of [
      ["-x", "kubelet"],
      ["-f", "slipway_trainer"],
    ])
      await runInside(this.#cluster.node!.pid, "pkill", [`-${signal}`, ...which]);
  }

  job(name: string): Promise<FineTuneJob | undefined> {
    return getObject<FineTuneJob>(this.client, "FineTuneJob", TEAM, name);
  }

  waitForJob(name: string, what: string, wanted: (job: FineTuneJob) => boolean, timeoutMs = 60_000) {
    return waitForObject<FineTuneJob>(this.client, ["FineTuneJob", TEAM, name], what, wanted, timeoutMs);
  }

  async podsOf({ metadata }: Pick<FineTuneJob, "metadata">) {
    const labelSelector = `${LABEL_OWNER_UID}=${metadata.uid}`;
    return (await this.client.list(Pod, { namespace: TEAM, labelSelector })).items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopController();
    await this.hub.close();
    await this.client.close();
    const { name } = this.#cluster;
    await stopCluster({ name, stateDir: this.stateDir, report: silent });
    await rm(this.stateDir, { recursive: true, force: true });
  }
}

export const reasonOf = (job: FineTuneJob): string | undefined =>
  job.status?.conditions?.find(({ type }) => type === "Ready")?.reason;
export const messageOf = (job: FineTuneJob): string =>
  job.status?.conditions?.find(({ type }) => type === "Ready")?.message ?? "";
export const isReady = (job: unknown): boolean => hasCondition(job, "Ready");
