import { decideInCluster } from "../controller/kinds/model-deployment/in-cluster.ts";
import type { ObservedInCluster } from "../controller/kinds/model-deployment/present.ts";
import type { KubeObject } from "../controller/kube/resources.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../controller/runtime/kind.ts";
import type { EvalRun } from "../schemas/eval-run.ts";
import {
  type ModelDeployment,
  type ModelDeploymentStatus,
  modelDeploymentSpec,
} from "../schemas/model-deployment.ts";
import { NOW, object, written } from "./kind-objects.ts";

type Answer = (request: EffectRequest) => unknown;

/**
 * A cluster in small for the decision of an in-cluster deployment: what it asks for appears, Deployments have as many
 * ready pods as `capacity` lets them, effects answer what `answers` says, and every write is counted.
 */
export class InClusterWorld {
  now = NOW.getTime();
  deployment: ModelDeployment;
  children = new Map<string, KubeObject>();
  effects = new Map<string, EffectOutcome>();
  decisions: Decision<ModelDeploymentStatus>[] = [];
  /** Ready pods that a Deployment may have; by name, or all. */
  readonly broken = new Set<string>();
  /** Deployments whose time to come up is over. */
  readonly exhausted = new Set<string>();
  answers: Answer = () => ({ ok: true, message: "answers" });
  verdict: (run: KubeObject) => { verdict: string; passed: boolean } | undefined = () => ({
    verdict: "Pass",
    passed: true,
  });
  observed: Partial<ObservedInCluster> = {};
  readonly #applied = new Map<string, string>();

  constructor(inCluster: Record<string, unknown>, name = "triage") {
    this.deployment = object<ModelDeployment>("ModelDeployment", {
      metadata: { name },
      spec: modelDeploymentSpec.parse({ type: "InCluster", inCluster }),
    });
  }

  /** A change of the spec, as the API server takes it. */
  edit(changes: Record<string, unknown>): void {
    const { spec, metadata } = this.deployment;
    this.deployment = {
      ...this.deployment,
      metadata: { ...metadata, generation: (metadata.generation ?? 1) + 1 },
      spec: modelDeploymentSpec.parse({ ...spec, inCluster: { ...spec.inCluster, ...changes } }),
    };
  }

  of(kind: string): KubeObject[] {
    return [...this.children.values()].filter((each) => each.kind === kind);
  }

  /** Deployments by name with their pods. */
  get pods(): Record<string, number> {
    return Object.fromEntries(
      this.of("Deployment").map(({ metadata, spec }) => [
        metadata.name,
        (spec as { replicas: number }).replicas,
      ]),
    );
  }

  /** The revision label that the Service for clients selects. */
  get selected(): string | undefined {
    const main = this.children.get(`Service/${this.deployment.metadata.name}`);
    return (main?.spec as { selector?: Record<string, string> } | undefined)?.selector?.[
      "slipway.dev/revision"
    ];
  }

  /** One reconcile. @param crashAfter writes that still happen before the process dies; the rest are lost */
  step(crashAfter = Number.POSITIVE_INFINITY): Decision<ModelDeploymentStatus> {
    const decision = decideInCluster(this.#observe(), new Date(this.now));
    this.decisions.push(decision);
    let left = crashAfter;
    const write = (act: () => void) => {
      if (left-- > 0) act();
    };
    const kept = decision.keep?.map(({ type, name }) => `${type.kind}/${name}`) ?? [];
    const wanted = new Set([...decision.children.map(keyOf), ...kept]);
    for (const child of decision.children) write(() => this.#apply(child));
    for (const key of [...this.children.keys()]) if (!wanted.has(key)) write(() => this.children.delete(key));
    write(() => {
      for (const request of decision.effects) this.#run(request);
    });
    write(() => {
      this.deployment = written(this.deployment, decision, new Date(this.now));
    });
    return decision;
  }

  /** Reconciles until nothing changes any more, at most 30 times. */
  settle(): Decision<ModelDeploymentStatus> {
    for (let i = 0; i < 30; i++) {
      const before = this.#snapshot();
      const decision = this.step();
      if (this.#snapshot() === before) return decision;
    }
    throw new Error(`does not settle: ${JSON.stringify(this.deployment.status)}`);
  }

  /** The process forgets what effects said. */
  restart(): void {
    this.effects.clear();
  }

  #snapshot(): string {
    return JSON.stringify([[...this.children], [...this.effects], this.deployment.status]);
  }

  #observe(): ObservedInCluster {
    return {
      deployment: this.deployment,
      serviceAccountName: "team",
      workUrl: "http://slipway:8080",
      jobs: new Map(),
      suites: new Map(),
      prompts: new Map(),
      models: new Map(),
      deployments: this.of("Deployment"),
      services: this.of("Service"),
      runs: this.of("EvalRun") as unknown as EvalRun[],
      pods: [],
      effect: ({ name, inputDigest }) => this.effects.get(`${name}/${inputDigest}`),
      ...this.observed,
    };
  }

  #apply(child: KubeObject): void {
    const before = this.children.get(keyOf(child));
    const spec = JSON.stringify(child.spec);
    const same = this.#applied.get(keyOf(child)) === spec;
    this.#applied.set(keyOf(child), spec);
    const generation = (before?.metadata.generation ?? 0) + (same && before ? 0 : 1);
    const metadata = { ...child.metadata, generation };
    this.children.set(keyOf(child), { ...child, metadata, ...this.#state(child, generation, before) });
  }

  #state(child: KubeObject, generation: number, before: KubeObject | undefined): Partial<KubeObject> {
    if (child.kind === "Service") {
      const clusterIP =
        (before?.spec as { clusterIP?: string } | undefined)?.clusterIP ?? `10.0.0.${this.children.size + 1}`;
      return { spec: { ...(child.spec as object), clusterIP } };
    }
    if (child.kind === "EvalRun") return { status: this.verdict(child) };
    if (child.kind !== "Deployment") return {};
    const { replicas } = child.spec as { replicas: number };
    const ready = this.broken.has(child.metadata.name) ? 0 : replicas;
    const conditions =
      this.exhausted.has(child.metadata.name) && replicas > 0
        ? [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }]
        : [];
    return {
      status: {
        observedGeneration: generation,
        replicas,
        updatedReplicas: replicas,
        readyReplicas: ready,
        conditions,
      },
    };
  }

  #run({ name, inputDigest, input, attempt }: EffectRequest): void {
    const key = `${name}/${inputDigest}`;
    const known = this.effects.get(key);
    if (known && known.attempt >= attempt) return;
    const output = this.answers({ name, inputDigest, input, attempt, durable: false });
    const times = { attempt, startedAt: this.now, finishedAt: this.now };
    if (output instanceof Error) {
      const error = { code: output.name, message: output.message, retryable: true };
      this.effects.set(key, { ...times, state: "Failed", error });
    } else this.effects.set(key, { ...times, state: "Succeeded", output: output as never });
  }
}

const keyOf = ({ kind, metadata }: KubeObject) => `${kind}/${metadata.name}`;
