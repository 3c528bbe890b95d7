import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { type Cluster, startCluster, stopCluster } from "../../controller/dev/cluster.ts";
import { controllerImage } from "../../controller/dev/images/controller-image.ts";
import { importLayers } from "../../controller/dev/node/node.ts";
import { requireSystemPrograms } from "../../controller/dev/node/programs.ts";
import { silent } from "../../controller/dev/progress.ts";
import { install, installObjects } from "../../controller/install/objects.ts";
import { IMAGES } from "../../controller/kinds/images.ts";
import { KubeClient } from "../../controller/kube/client.ts";
import {
  Deployment,
  type KubeObject,
  Pod,
  type ResourceType,
  Service,
} from "../../controller/kube/resources.ts";
import { API_VERSION, LABEL_OWNER_UID, LABEL_REVISION } from "../../schemas/kind.ts";
import type { ModelDeployment } from "../../schemas/model-deployment.ts";
import { getObject, hasCondition, TENANT_ACCOUNT, typeOf, waitForObject } from "../scenario/cluster.ts";
import { ControllerProcess } from "../scenario/controller.ts";
import { Kubectl } from "../scenario/kubectl.ts";
import { waitFor } from "../scenario/wait.ts";

export const TEAM = "team-a";
const EndpointSlice: ResourceType = {
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  namespaced: true,
};
const NODE = "/opt/slipway/node_modules/.bin/node";
const script = (name: string) => readFile(join(import.meta.dirname, name), "utf8");

export interface WorldOptions {
  readonly name: string;
  readonly stateDir: string;
  readonly report: (text: string) => void;
}

/** A real node with the controller's image, and a controller outside of it that pods reach. */
export class ServingWorld implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly kubectl: Kubectl;
  readonly stateDir: string;
  controller: ControllerProcess | undefined;
  readonly #port: number;

  private constructor(cluster: Cluster, stateDir: string, port: number) {
    this.cluster = cluster;
    this.stateDir = stateDir;
    this.#port = port;
    this.client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
    this.kubectl = new Kubectl(cluster.kubeconfigPath, TEAM);
  }

  /** @param prepare brings what else the node needs, before the controller starts */
  static async open(
    prepare: (options: WorldOptions, cluster: Cluster) => Promise<void> = async () => undefined,
  ): Promise<ServingWorld> {
    await requireSystemPrograms({ report: silent });
    const stateDir = await mkdtemp(join(tmpdir(), "slipway-serving-"));
    const options = { name: `serving-${randomBytes(3).toString("hex")}`, stateDir, report: silent };
    const image = await controllerImage(options);
    const cluster = await startCluster({ ...options, provider: "local", node: true });
    await importLayers(cluster.node!.pid, image);
    await prepare(options, cluster);
    const world = new ServingWorld(cluster, stateDir, await freePort(cluster.node!.network.hostIP));
    // What is applied by hand acts as its namespace's own account, what comes from git as the tenant's.
    const tenants = [`${TEAM}/${TENANT_ACCOUNT}`, `${TEAM}/default`];
    const objects = await installObjects({ user: "slipway-controller", tenants });
    await install(world.client, objects, AbortSignal.timeout(60_000));
    await world.startController();
    return world;
  }

  async startController(): Promise<void> {
    this.controller = await ControllerProcess.start({
      kubeconfig: this.cluster.controllerKubeconfigPath,
      namespace: TEAM,
      stateDir: join(this.stateDir, "controller"),
      logFile: join(this.stateDir, "controller.log"),
      reachableAt: { host: this.cluster.node!.network.hostIP, port: this.#port },
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

  /** A prompt and a suite that a deployment passes whose answers contain `yes`. */
  async applySuite(model: string): Promise<void> {
    await this.apply("PromptTemplate", "question", {
      messages: [{ role: "user", content: "{{q}}" }],
      variables: [{ name: "q" }],
    });
    await this.apply("EvalSuite", "quality", {
      targets: [{ name: "answers", promptRef: { name: "question" }, modelRef: { name: model } }],
      cases: { inline: ["1", "2", "3", "4"].map((id) => ({ id, vars: { q: `yes? (${id})` } })) },
      assert: [{ type: "contains", value: "yes" }],
      gates: [{ name: "right", metric: "pass-rate", min: 0.9 }],
    });
  }

  /** The small server behind the gate, answering as `env` says. */
  async deploy(
    name: string,
    env: Readonly<Record<string, string>>,
    more: Record<string, unknown> = {},
  ): Promise<void> {
    const rollout = { gates: [{ suiteRef: { name: "quality" } }] };
    await this.apply("ModelDeployment", name, await smallServer(env, { rollout, ...more }));
  }

  deployment(name: string): Promise<ModelDeployment | undefined> {
    return getObject<ModelDeployment>(this.client, "ModelDeployment", TEAM, name);
  }

  waitFor(name: string, what: string, wanted: (object: ModelDeployment) => boolean, timeoutMs = 120_000) {
    return waitForObject<ModelDeployment>(
      this.client,
      ["ModelDeployment", TEAM, name],
      what,
      wanted,
      timeoutMs,
    );
  }

  waitReady(name: string, timeoutMs?: number): Promise<ModelDeployment> {
    return this.waitFor(name, "Ready", (object) => hasCondition(object, "Ready"), timeoutMs);
  }

  waitBlocked(name: string, timeoutMs?: number): Promise<ModelDeployment> {
    return this.waitFor(name, "stopped", (object) => hasCondition(object, "RolloutBlocked"), timeoutMs);
  }

  async podsOf({ metadata }: ModelDeployment): Promise<KubeObject[]> {
    const labelSelector = `${LABEL_OWNER_UID}=${metadata.uid}`;
    return (await this.client.list(Pod, { namespace: TEAM, labelSelector })).items;
  }

  /** Names of the pods that get a Service's requests, as the node's proxy is told. */
  async endpointsOf(service: string): Promise<string[]> {
    const labelSelector = `kubernetes.io/service-name=${service}`;
    const { items } = await this.client.list(EndpointSlice, { namespace: TEAM, labelSelector });
    return (items as unknown as Slice[])
      .flatMap(({ endpoints }) => endpoints ?? [])
      .flatMap(({ conditions, targetRef }) => (conditions.ready ? [targetRef.name] : []));
  }

  /** Pods that are asked for and that are ready, by revision as kubectl shows it, of Kubernetes' own Deployments. */
  async scaleOf({ metadata }: ModelDeployment): Promise<Record<string, Scale>> {
    const { items } = await this.client.list(Deployment, { namespace: TEAM });
    const own = items.filter((each) =>
      each.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid),
    );
    return Object.fromEntries(
      own.map(({ metadata: { labels }, spec, status }) => [
        labels?.[LABEL_REVISION]?.slice(0, 12) ?? "",
        {
          asked: (spec as { replicas: number }).replicas,
          ready: (status as { readyReplicas?: number }).readyReplicas ?? 0,
        },
      ]),
    );
  }

  /** Asks a revision's server that holds, or tells it to go on. @returns how many requests wait for its answer */
  async held(object: ModelDeployment, revision: string, path: "waiting" | "go-on"): Promise<number> {
    const pods = await this.podsOf(object);
    const pod = pods.find(({ metadata }) => metadata.labels?.[LABEL_REVISION]?.startsWith(revision))!;
    const { podIP } = pod.status as { podIP: string };
    return (await (await fetch(`http://${podIP}:8000/${path}`)).json()) as number;
  }

  /** Whether a client gets an answer at this moment, and what it says. */
  async ask(service: string, model = service): Promise<string | undefined> {
    const address = await this.addressOf(service);
    if (address === undefined) return undefined;
    const body = JSON.stringify({
      model,
      messages: [{ role: "user", content: "Say one word." }],
      max_tokens: 8,
      temperature: 0,
    });
    const headers = { "content-type": "application/json" };
    // A connection that is kept would reach what served when it was opened.
    const call = { method: "POST", headers, body, reset: true, signal: AbortSignal.timeout(60_000) } as const;
    const answer = await request(`${address}/chat/completions`, call).catch(() => undefined);
    const text = await answer?.body.text();
    if (answer?.statusCode !== 200 || text === undefined) return undefined;
    const { choices } = JSON.parse(text) as { choices: { message: { content: string } }[] };
    return choices[0]?.message.content;
  }

  /** Base URL by the Service's IP, as the host reaches it. */
  async addressOf(service: string): Promise<string | undefined> {
    const found = await this.client.get(Service, TEAM, service).catch(() => undefined);
    const ip = (found?.spec as { clusterIP?: string } | undefined)?.clusterIP;
    return ip && `http://${ip}/v1`;
  }

  /** Puts load on a deployment from a pod, and tells what its clients saw. */
  async startLoad(model: string, clients = 4): Promise<() => Promise<LoadReport>> {
    const url = `http://${model}.${TEAM}.svc/v1`;
    const container = {
      name: "load",
      image: IMAGES.controller,
      imagePullPolicy: "Never",
      command: [NODE, "--input-type=module", "-e", await script("load.js")],
      env: [
        { name: "URL_OF_MODEL", value: url },
        { name: "CLIENTS", value: String(clients) },
      ],
    };
    await this.client.create(Pod, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "load", namespace: TEAM },
      spec: {
        containers: [container],
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
      },
    });
    const ip = await waitFor(
      "the load's address",
      async () => ((await this.client.get(Pod, TEAM, "load")).status as { podIP?: string }).podIP,
      (found) => found !== undefined,
      { timeoutMs: 60_000 },
    );
    const report = async () => (await (await fetch(`http://${ip}:9000/`)).json()) as LoadReport;
    await waitFor("answers", report, ({ requests }) => requests > 10, { timeoutMs: 60_000 });
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopController();
    await this.client.close();
    await stopCluster({ name: this.cluster.name, stateDir: this.stateDir, report: silent });
    await rm(this.stateDir, { recursive: true, force: true });
  }
}

/** A deployment of the small server, answering as `env` says. */
export async function smallServer(
  env: Readonly<Record<string, string>>,
  more: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  return {
    type: "InCluster",
    inCluster: {
      runtime: "Custom",
      image: IMAGES.controller,
      command: [NODE, "--input-type=module", "-e", await script("model-server.js")],
      drainTimeout: "2s",
      startupTimeout: "90s",
      podTemplate: {
        imagePullPolicy: "Never",
        env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
      },
      ...more,
    },
  };
}

interface Slice {
  readonly endpoints?: readonly {
    readonly conditions: { readonly ready?: boolean };
    readonly targetRef: { readonly name: string };
  }[];
}

export interface Scale {
  readonly asked: number;
  readonly ready: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly failed: readonly string[];
  /** Answers of revisions that no client should have reached. */
  readonly bad: readonly string[];
  readonly versions: Readonly<Record<string, number>>;
}

/** Ready pods of the revision that clients reach, as the kubelet says. */
export function readyPods(pods: readonly KubeObject[], { status }: ModelDeployment): number {
  const label = status?.active?.slice(0, 32);
  return pods.filter(
    ({ metadata, status: said }) =>
      metadata.labels?.[LABEL_REVISION] === label &&
      (said as { conditions?: { type: string; status: string }[] }).conditions?.some(
        ({ type, status: is }) => type === "Ready" && is === "True",
      ),
  ).length;
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
