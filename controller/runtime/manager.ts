import { randomUUID } from "node:crypto";
import { FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_OWNER_UID } from "../../schemas/kind.ts";
import { SlipwayError } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import { EventRecorder } from "../kube/events.ts";
import type { Informer } from "../kube/informer.ts";
import { LeaderElector } from "../kube/lease.ts";
import { type KubeObject, keyOf, objectKey, type ResourceType } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { StateStore } from "../store/store.ts";
import { CacheView } from "./cache-view.ts";
import { objectId } from "./children.ts";
import { Controller, type Reconciler } from "./controller.ts";
import { EchoFilter } from "./echo.ts";
import { EffectRunner, ownerName } from "./effects.ts";
import { Engine, ownerOf } from "./engine.ts";
import { OwnWrites } from "./freshness.ts";
import type { Readiness } from "./http.ts";
import { Informers, keyOfType, type WatchScope } from "./informers.ts";
import type { Kind, ObjectRef, View } from "./kind.ts";
import type { Metrics, ReadinessCount } from "./metrics.ts";
import type { WorkQueue } from "./queue.ts";
import { statusOf } from "./status.ts";
import { BY_DEPENDENCY, dependencyKey, dependencyKeys, ownersOf } from "./wakeups.ts";

export interface ManagerOptions {
  readonly client: KubeClient;
  readonly kinds: readonly Kind[];
  readonly state: StateStore;
  readonly log: Logger;
  /** Watches this namespace only; all unless given. */
  readonly namespace?: string;
  /** Reconciles of one kind at a time; 4 unless given. */
  readonly workers?: number;
  /** How many of one kind's effect run at a time; 8 unless given. */
  readonly effectConcurrency?: number;
  /** Without it this process leads at once: for one replica, tests and laptops. */
  readonly leaderElection?: { readonly namespace: string; readonly name: string; readonly identity?: string };
  readonly metrics?: Metrics;
  /** How long reconciles and effects under way may take to end; 10 s each unless given. */
  readonly graceMs?: number;
  /** Every object is looked at this often even when nothing has changed, at no request; 10 minutes. */
  readonly resyncMs?: number;
}

/** The index under which a kind's store finds an object by its uid. */
const BY_UID = "uid";

/** What a plain reconciler gets when it joins. */
export type JoinedQueue = Pick<WorkQueue, "add" | "addAfter">;

type Role = "starting" | "standby" | "leader" | "stopped";

/** Informers, queues, workers, effects and the lease of one controller process, started and stopped in order. */
export class Manager {
  readonly view: View;
  readonly effects: EffectRunner;
  readonly events: EventRecorder;
  readonly #options: ManagerOptions;
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #informers: Informers;
  readonly #controllers = new Map<string, Controller>();
  readonly #engine: Engine;
  readonly #writes = new OwnWrites();
  readonly #echoes = new EchoFilter();
  readonly #elector: LeaderElector | undefined;
  #role: Role = "starting";

  constructor(options: ManagerOptions) {
    const { client, kinds, state, log, namespace, leaderElection } = options;
    this.#options = options;
    this.#kinds = new Map(kinds.map((kind) => [kind.type.kind, kind]));
    this.#informers = new Informers({
      client,
      log,
      ...(namespace === undefined ? {} : { namespace }),
      onChange: (type, before, after) => this.#changed(type, before, after),
    });
    this.effects = new EffectRunner({
      intents: state.intents,
      handlers: (kind) => this.#kinds.get(kind)?.effects,
      wake: (object) => this.enqueue(object),
      log,
      ...(options.effectConcurrency === undefined ? {} : { concurrency: options.effectConcurrency }),
    });
    this.view = new CacheView({
      informers: this.#informers,
      writes: this.#writes,
      kinds: this.#kinds,
      effects: this.effects,
      reports: state.reports,
    });
    this.events = new EventRecorder({ client, log });
    if (leaderElection) {
      const { identity = `${process.pid}-${randomUUID()}` } = leaderElection;
      this.#elector = new LeaderElector({ client, log, ...leaderElection, identity });
    }
    this.#engine = new Engine({
      client,
      applied: state.applied,
      reports: state.reports,
      effects: this.effects,
      view: this.view,
      events: this.events,
      writes: this.#writes,
      echoes: this.#echoes,
      mayWrite: () => this.#elector?.isLeading() ?? this.#role !== "stopped",
      wake: (object) => this.#enqueueObject(object),
      log,
    });
    for (const kind of kinds) {
      const name = kind.type.kind;
      this.join({
        name,
        reconcile: (key, signal, failures) => this.#engine.reconcile(kind, key, signal, failures),
      });
    }
    options.metrics?.observe({
      queues: () => [...this.#controllers.values()].map(({ name, queue }) => ({ name, depth: queue.depth })),
      effectsRunning: () => this.effects.running,
      readiness: () => this.#readinessCounts(),
      leading: () => this.#role === "leader",
    });
  }

  /**
   * The shared informer of a type, started by the first who asks. Ask before `run` for what workers need,
   * so that they do not start before it has listed.
   */
  informer<T extends KubeObject = KubeObject>(type: ResourceType, scope: WatchScope = {}): Informer<T> {
    return this.#informers.get<T>(type, scope);
  }

  /** Adds a reconciler with a queue of its own; before `run`. */
  join(reconciler: Reconciler, options: { readonly workers?: number } = {}): JoinedQueue {
    if (this.#role !== "starting") throw new Error(`${reconciler.name} joins after the start`);
    if (this.#controllers.has(reconciler.name))
      throw new Error(`there are two reconcilers ${reconciler.name}`);
    const { log, metrics } = this.#options;
    const workers = options.workers ?? this.#options.workers ?? 4;
    const controller = new Controller({ reconciler, workers, log, metrics });
    this.#controllers.set(reconciler.name, controller);
    return controller.queue;
  }

  /** Has an object of one of the kinds looked at. */
  enqueue({ kind, namespace, name }: ObjectRef): void {
    this.#controllers.get(kind)?.queue.add(objectKey(namespace, name));
  }

  readiness(): Readiness {
    const caches = this.#informers.synced ? "caches synced" : "caches not synced";
    // A standby is ready: it takes over within seconds, and a rollout must not wait for it to lead.
    const ready = this.#informers.synced && (this.#role === "leader" || this.#role === "standby");
    return { ready, text: `${this.#role}, ${caches}` };
  }

  /**
   * Runs until the signal aborts. In order: watches, caches synced, lease, workers; and back: no new work,
   * reconciles, effects, events, lease, watches.
   * @throws SlipwayError LeadershipLost: the process should end, another leads
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#startWatches();
    try {
      await abortable(this.#informers.whenSynced(), signal);
      if (signal.aborted) return;
      if (!this.#elector) {
        await this.#lead(signal);
        return;
      }
      this.#role = "standby";
      const end = await this.#elector.run({ signal, onStarted: (leading) => this.#lead(leading) });
      if (end === "lost") {
        throw new SlipwayError("LeadershipLost", "the lease was lost; the work was stopped", {
          retryable: true,
        });
      }
    } finally {
      this.#role = "stopped";
      for (const { queue } of this.#controllers.values()) queue.close();
      await this.#informers.stop();
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const graceMs = this.#options.graceMs ?? 10_000;
    this.#role = "leader";
    await this.#forgetVanished();
    const hard = new AbortController();
    const work = [...this.#controllers.values()].map((controller) => controller.run(hard.signal));
    // What the caches held before anybody listened, the first list included.
    this.#enqueueAll(0);
    const resync = this.#resync();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    clearInterval(resync);
    for (const { queue } of this.#controllers.values()) queue.close();
    const lost = this.#elector?.isLeading() === false;
    if (lost) hard.abort(new SlipwayError("LeadershipLost", "another process may lead", { retryable: true }));
    const timer = setTimeout(() => hard.abort(new Error("the grace period is over")), graceMs);
    await Promise.all(work);
    clearTimeout(timer);
    await this.effects.stop(graceMs);
    await this.events.close();
  }

  #startWatches(): void {
    for (const kind of this.#kinds.values()) {
      const { store } = this.informer(kind.type);
      store.addIndex(BY_DEPENDENCY, (object) => dependencyKeys(kind, object));
      if (kind.watches) store.addIndex(BY_UID, ({ metadata }) => (metadata.uid ? [metadata.uid] : []));
    }
    const labelSelector = `${LABEL_MANAGED_BY}=${FIELD_MANAGER}`;
    for (const kind of this.#kinds.values()) {
      for (const type of kind.watches ?? []) this.informer(type, { labelSelector });
    }
    for (const kind of this.#kinds.values()) {
      for (const type of kind.childTypes) {
        const isKind = [...this.#kinds.values()].some((each) => keyOfType(each.type) === keyOfType(type));
        if (isKind || this.#informers.find(type)) continue;
        this.informer(type, { metadataOnly: true, labelSelector });
      }
    }
  }

  #changed(type: ResourceType, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const object = (after ?? before)!;
    const { namespace = "", name, resourceVersion } = object.metadata;
    const id = objectId(type, namespace, name);
    if (!after) this.#writes.deleted(id, object);
    const kind = this.#kinds.get(type.kind);
    if (kind && keyOfType(kind.type) === keyOfType(type)) {
      // A standby keeps no list: the next leader compares what it finds with what is there.
      if (!after && this.#role === "leader") this.#engine.gone(kind, object);
      if (!after || !this.#echoes.isEcho(id, resourceVersion)) this.#enqueueObject(object);
    }
    for (const { kind: ownerKind, key } of ownersOf(this.#kinds.values(), before, after)) {
      this.#controllers.get(ownerKind.type.kind)?.queue.add(key);
    }
    const owner = (after ?? before)?.metadata.labels?.[LABEL_OWNER_UID];
    if (owner !== undefined) this.#wakeByUid(type, owner);
    const dependency = dependencyKey(type, namespace, name);
    for (const dependent of this.#kinds.values()) {
      if (!dependent.dependencies) continue;
      const store = this.#informers.find(dependent.type)?.store;
      for (const each of store?.byIndex(BY_DEPENDENCY, dependency) ?? []) this.#enqueueObject(each);
    }
  }

  /** A pod's controlling owner is a Job or ReplicaSet; its label names the object whose work it does. */
  #wakeByUid(type: ResourceType, uid: string): void {
    for (const kind of this.#kinds.values()) {
      if (!kind.watches?.includes(type)) continue;
      for (const each of this.#informers.find(kind.type)?.store.byIndex(BY_UID, uid) ?? [])
        this.#enqueueObject(each);
    }
  }

  #enqueueObject(object: KubeObject): void {
    this.#controllers.get(object.kind)?.queue.add(keyOf(object));
  }

  /** @param withinMs spread over this time */
  #enqueueAll(withinMs: number): void {
    for (const kind of this.#kinds.values()) {
      const { queue } = this.#controllers.get(kind.type.kind)!;
      for (const object of this.informer(kind.type).store.list()) {
        queue.addAfter(keyOf(object), withinMs * Math.random());
      }
    }
  }

  #resync(): NodeJS.Timeout {
    const everyMs = this.#options.resyncMs ?? 600_000;
    return setInterval(() => this.#enqueueAll(everyMs / 2), everyMs);
  }

  /** Forgets the effects of objects that went, or were made again, while no process looked. */
  async #forgetVanished(): Promise<void> {
    const { intents, reports } = this.#options.state;
    const alive = new Set<string>();
    for (const kind of this.#kinds.values()) {
      for (const object of this.informer(kind.type).store.list()) alive.add(ownerName(ownerOf(kind, object)));
    }
    for (const store of [intents, reports]) {
      for (const object of store.objects()) {
        const [kind = "", namespace] = object.split("/");
        // What is outside the watched namespace cannot be judged; what is of no kind belongs to somebody else.
        const watched = this.#options.namespace === undefined || this.#options.namespace === namespace;
        if (this.#kinds.has(kind) && watched && !alive.has(object)) await store.forget(object);
      }
    }
  }

  *#readinessCounts(): Iterable<ReadinessCount> {
    for (const kind of this.#kinds.values()) {
      const counts = { True: 0, False: 0, Unknown: 0 };
      for (const object of this.#informers.find(kind.type)?.store.list() ?? []) {
        const found = statusOf(object).conditions?.find(({ type }) => type === "Ready");
        counts[found?.status ?? "Unknown"]++;
      }
      for (const status of ["True", "False", "Unknown"] as const) {
        yield { kind: kind.type.kind, status, count: counts[status] };
      }
    }
  }
}

/** Waits for one or the other; a wait that the signal ended resolves. */
async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const ended = Promise.withResolvers<void>();
  const onAbort = () => ended.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([work, ended.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
