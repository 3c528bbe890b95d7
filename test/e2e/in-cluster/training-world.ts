import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Cluster, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { type Hub, startHub } from "../../../controller/dev/hub.ts";
import { controllerImage } from "../../../controller/dev/images/controller-image.ts";
import { type TrainerSet, trainerImage } from "../../../controller/dev/images/trainer-image.ts";
import { ensureWeights } from "../../../controller/dev/model/weights.ts";
import { runInside } from "../../../controller/dev/node/namespace.ts";
import { importLayers } from "../../../controller/dev/node/node.ts";
import { requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { install, installObjects } from "../../../controller/install/objects.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Pod, Service } from "../../../controller/kube/resources.ts";
import type { FineTuneJob, FineTuneJobSpec } from "../../../schemas/fine-tune-job.ts";
import { API_VERSION, LABEL_OWNER_UID } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { freePort } from "../../free-port.ts";
import { getObject, hasCondition, TENANT_ACCOUNT, typeOf, waitForObject } from "../../scenario/cluster.ts";
import { ControllerProcess } from "../../scenario/controller.ts";
import { Kubectl } from "../../scenario/kubectl.ts";
import { type ChatRow, makeRows, SYSTEM, toJsonLines } from "../../train/rows.ts";

const NAME = "training";
export const TEAM = "team-a";
const MODEL = "smollm/gguf";
const ROWS = "smollm/rows";
/** A training of a minute or so. */
export const SHORT = {
  maxSteps: 12,
  batchSize: 2,
  learningRate: 0.002,
  maxSequenceLength: 64,
  saveSteps: 3,
} as const;

/** The right topic over another one. */
const preferences = (rows: readonly ChatRow[]) =>
  rows.map(({ messages: [system, question, answer] }) => ({
    prompt: `${system!.content}\n${question!.content}\n`,
    chosen: answer!.content,
    rejected: answer!.content === "money" ? "delivery" : "money",
  }));

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

  /**
   * @param set the framework whose image the node has
   * @param models folders of further models of the hub, by `organisation/name`
   */
  static async open(
    set: TrainerSet = "torch",
    models: Readonly<Record<string, string>> = {},
  ): Promise<TrainingWorld> {
    await requireSystemPrograms({ report: silent });
    const stateDir = await mkdtemp(join(tmpdir(), "slipway-training-"));
    const options = { name: `${NAME}-${randomBytes(3).toString("hex")}`, stateDir, report: silent };
    const image = await trainerImage(set, options);
    const cluster = await startCluster({ ...options, provider: "local", node: true });
    await importLayers(cluster.node!.pid, image);
    // Pods that serve fetch their model with it.
    await importLayers(cluster.node!.pid, await controllerImage(options));
    const weights = await ensureWeights(options);
    const model = join(stateDir, "hub", "model");
    const rows = join(stateDir, "hub", "rows");
    for (const folder of [model, rows]) await mkdir(folder, { recursive: true });
    await copyFile(weights, join(model, basename(weights)));
    await writeFile(join(rows, "rows.jsonl"), toJsonLines(makeRows(10)));
    await writeFile(join(rows, "preferences.jsonl"), toJsonLines(preferences(makeRows(10))));
    const { hostIP } = cluster.node!.network;
    const hub = await startHub(
      { models: { [MODEL]: model, ...models }, datasets: { [ROWS]: rows } },
      0,
      hostIP,
    );
    const world = new TrainingWorld(stateDir, cluster, hub, weights, await freePort(hostIP));
    const objects = await installObjects({
      user: "slipway-controller",
      tenants: [`${TEAM}/${TENANT_ACCOUNT}`],
    });
    await install(world.client, objects, AbortSignal.timeout(60_000));
    await world.startController();
    return world;
  }

  /** The small model, as a training or a deployment names it. */
  get base(): object {
    return { source: `hf://${MODEL}`, file: this.weights, endpoint: this.hub.url };
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

  /** A Dataset of the hub's rows: tickets with their topic, or as preferences of one topic over another. */
  async prepare(name: "rows" | "preferences"): Promise<void> {
    await this.apply("Dataset", name, {
      format: name === "rows" ? "chat" : "preference",
      sources: [{ name: "hub", url: `hf://datasets/${ROWS}/${name}.jsonl`, endpoint: this.hub.url }],
    });
    await waitForObject(this.client, ["Dataset", TEAM, name], "Ready", isReady, 60_000);
  }

  /** A short LoRA training of the small model on the rows, apart from what `more` says. */
  train(name: string, more: Record<string, unknown> = {}): Promise<void> {
    return this.apply("FineTuneJob", name, {
      baseModel: this.base,
      datasetRef: { name: "rows" },
      adapter: { r: 4, alpha: 8, targetModules: ["q_proj", "v_proj"] },
      hyperparameters: SHORT,
      // Without a request a pod gets what nobody else on the machine wants.
      pod: { resources: { requests: { cpu: "1" } } },
      ...more,
    } satisfies Partial<Record<keyof FineTuneJobSpec, unknown>>);
  }

  /** Serves a model with the trainer's server. */
  serve(name: string, model: object): Promise<void> {
    return this.apply("ModelDeployment", name, {
      type: "InCluster",
      inCluster: {
        runtime: "Transformers",
        model,
        podTemplate: { resources: { requests: { cpu: "100m" }, limits: { cpu: "1" } } },
      },
    });
  }

  waitUntilServed(name: string): Promise<ModelDeployment> {
    const key = ["ModelDeployment", TEAM, name] as const;
    return waitForObject<ModelDeployment>(this.client, key, "Ready", isReady, 8 * 60_000);
  }

  /** What a served model answers to a ticket. */
  async ask(model: string, question: string): Promise<string> {
    const { spec } = (await this.client.get(Service, TEAM, model)) as { spec?: { clusterIP?: string } };
    const messages = [
      { role: "system", content: SYSTEM },
      { role: "user", content: question },
    ];
    const response = await fetch(`http://${spec?.clusterIP}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, messages, max_tokens: 4, temperature: 0 }),
      signal: AbortSignal.timeout(2 * 60_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${model} answered ${response.status}: ${text.slice(0, 500)}`);
    const body = JSON.parse(text) as { choices: { message: { content: string } }[] };
    return body.choices[0]!.message.content;
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
