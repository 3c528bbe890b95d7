import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeClient, type RequestInfo } from "../../../controller/kube/client.ts";
import { isAlreadyExists } from "../../../controller/kube/kube-error.ts";
import {
  ConfigMap,
  CustomResourceDefinition,
  type KubeObject,
  Namespace,
  type ResourceType,
} from "../../../controller/kube/resources.ts";
import { createLogger } from "../../../controller/log.ts";
import { ready, reconciling } from "../../../controller/runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest, Kind } from "../../../controller/runtime/kind.ts";
import { Manager, type ManagerOptions } from "../../../controller/runtime/manager.ts";
import type { Status } from "../../../controller/runtime/status.ts";
import { openStateStore } from "../../../controller/store/open.ts";

export const TOY: ResourceType = {
  group: "runtime.test.slipway.dev",
  version: "v1",
  kind: "Toy",
  plural: "toys",
  namespaced: true,
};

interface ToySpec {
  /** Names of ConfigMaps to have, each with `value`. */
  children?: string[];
  value?: string;
  /** A Toy to wait for. */
  needs?: string;
  /** The input of a durable effect. */
  work?: string;
  suspend?: boolean;
}

export type Toy = KubeObject & { spec: ToySpec; status?: Status & { seen?: string; extra?: string } };

const any = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

const crd: KubeObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${TOY.plural}.${TOY.group}` },
  spec: {
    group: TOY.group,
    names: { kind: TOY.kind, plural: TOY.plural, singular: "toy" },
    scope: "Namespaced",
    versions: [
      {
        name: TOY.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: "object", properties: { spec: any, status: any } } },
      },
    ],
  },
};

interface ObservedToy {
  readonly toy: Toy;
  readonly needed: Toy | undefined;
  readonly work: EffectOutcome | undefined;
}

/** A kind with everything that the runtime serves: children, a dependency, an effect. */
export function toyKind(effects: Kind["effects"] = {}): Kind<ObservedToy, object> {
  return {
    type: TOY,
    childTypes: [ConfigMap],
    observe(object, view) {
      const toy = object as Toy;
      const { namespace = "", name } = toy.metadata;
      return {
        toy,
        needed: toy.spec.needs === undefined ? undefined : view.get<Toy>(TOY, namespace, toy.spec.needs),
        work:
          toy.spec.work === undefined
            ? undefined
            : view.effect({ kind: TOY.kind, namespace, name }, "work", toy.spec.work),
      };
    },
    decide: decideToy,
    dependencies: (object) => {
      const { needs } = (object as Toy).spec;
      return needs === undefined ? [] : [{ type: TOY, name: needs }];
    },
    effects,
  };
}

function decideToy({ toy, needed, work }: ObservedToy): Decision<object> {
  const { children = [], value = "", needs, work: input } = toy.spec;
  const effects: EffectRequest[] =
    input === undefined
      ? []
      : [{ name: "work", inputDigest: input, input, attempt: work?.attempt ?? 1, durable: true }];
  const waits = needs !== undefined && needed?.status?.seen === undefined;
  return {
    children: children.map((name) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name },
      data: { value },
    })),
    effects,
    status: {
      ...(waits ? {} : { seen: needed?.status?.seen ?? value }),
      ...(work?.output === undefined ? {} : { output: work.output }),
      conditions: waits
        ? reconciling("Waiting", `for ${needs}`)
        : ready("Done", `${children.length} children`),
    },
    events: [{ type: "Normal", reason: waits ? "Waiting" : "Done", note: "said once" }],
  };
}

export class ToyWorld implements AsyncDisposable {
  readonly namespace = `runtime-${randomBytes(4).toString("hex")}`;
  readonly client: KubeClient;
  readonly requests: RequestInfo[] = [];
  /** The controller's client: its requests are the ones counted. */
  readonly counted: KubeClient;
  readonly #path: string;
  #dir = "";
  readonly #running: Running[] = [];

  private constructor(path: string) {
    this.#path = path;
    this.client = KubeClient.fromKubeconfig({ path, userAgent: "slipway-test" });
    this.counted = KubeClient.fromKubeconfig({
      path,
      userAgent: "slipway-test-controller",
      onRequest: (info) => this.requests.push(info),
    });
  }

  static async open(): Promise<ToyWorld> {
    const path = process.env.SLIPWAY_TEST_KUBECONFIG;
    if (!path) throw new Error("SLIPWAY_TEST_KUBECONFIG is not set: these tests need a real API server");
    const world = new ToyWorld(path);
    world.#dir = await mkdtemp(join(tmpdir(), "slipway-runtime-"));
    await world.client.create(CustomResourceDefinition, crd).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
    await eventually(() => world.client.list(TOY));
    await world.client.create(Namespace, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: world.namespace },
    });
    return world;
  }

  /** A client of its own, for a process of its own. */
  newClient(): KubeClient {
    return KubeClient.fromKubeconfig({ path: this.#path, userAgent: "slipway-test-controller" });
  }

  /** A controller process in this one; the same state folder each time, unless named. */
  async start(
    options: Partial<ManagerOptions> & {
      kind?: Kind;
      prepare?: (manager: Manager) => void;
      folder?: string;
    } = {},
  ): Promise<Running> {
    const { kind = toyKind() as Kind, prepare, folder = "state", ...rest } = options;
    const state = await openStateStore(join(this.#dir, folder));
    const manager = new Manager({
      client: this.counted,
      kinds: [kind],
      state,
      log: createLogger(process.env.SLIPWAY_LOG_LEVEL ?? "silent"),
      namespace: this.namespace,
      graceMs: 1_000,
      ...rest,
    });
    prepare?.(manager);
    const controller = new AbortController();
    const done = manager.run(controller.signal);
    const running: Running = {
      manager,
      state,
      done,
      stop: async () => {
        this.#running.splice(this.#running.indexOf(running), 1);
        controller.abort();
        try {
          await done;
        } finally {
          await state.close();
        }
      },
    };
    this.#running.push(running);
    done.catch(() => {});
    return running;
  }

  async apply(name: string, spec: ToySpec, annotations: Record<string, string> = {}): Promise<Toy> {
    const metadata = { name, namespace: this.namespace, annotations };
    const toy: Toy = { apiVersion: `${TOY.group}/${TOY.version}`, kind: TOY.kind, metadata, spec };
    return this.client.apply(TOY, toy, { fieldManager: "user", force: true });
  }

  get(name: string): Promise<Toy> {
    return this.client.get<Toy>(TOY, this.namespace, name);
  }

  map(name: string): Promise<KubeObject & { data?: Record<string, string> }> {
    return this.client.get(ConfigMap, this.namespace, name);
  }

  /** The toy once it is Ready at its generation and `also` holds. */
  ready(name: string, also: (toy: Toy) => boolean = () => true): Promise<Toy> {
    return eventually(async () => {
      const toy = await this.get(name);
      const { status, metadata } = toy;
      const isReady = status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
      if (!isReady || status?.observedGeneration !== metadata.generation || !also(toy)) {
        throw new Error(`not ready: ${JSON.stringify(status)}`);
      }
      return toy;
    });
  }

  /** What the controller has asked of the API since, watches apart. */
  writes(): string[] {
    return this.requests
      .filter(({ verb, kind }) => verb !== "watch" && verb !== "list" && kind !== "Event" && kind !== "Lease")
      .map(({ verb, kind }) => `${verb} ${kind}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of [...this.#running]) await running.stop().catch(() => {});
    await this.client.delete(Namespace, undefined, this.namespace);
    await this.client.close();
    await this.counted.close();
    await rm(this.#dir, { recursive: true });
  }
}

export interface Running {
  readonly manager: Manager;
  readonly state: Awaited<ReturnType<typeof openStateStore>>;
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** Tries until it does not throw, 10 s at most. */
export async function eventually<T>(work: () => Promise<T> | T, timeoutMs = 10_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Long enough for a wrong extra write to show. */
export const quiet = () => new Promise((resolve) => setTimeout(resolve, 500));
