import { type KubeObject, objectKey, type ResourceType } from "../kube/resources.ts";
import type { ReportStore, WorkReport } from "../store/store.ts";
import { objectId } from "./children.ts";
import { type EffectRunner, ownerName } from "./effects.ts";
import type { OwnWrites } from "./freshness.ts";
import { BY_CONTROLLER, type Informers } from "./informers.ts";
import type { EffectOutcome, Kind, ObjectRef, View } from "./kind.ts";

export interface CacheViewOptions {
  readonly informers: Informers;
  readonly writes: OwnWrites;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly effects: Pick<EffectRunner, "outcome">;
  readonly reports: Pick<ReportStore, "latest">;
}

/** The view of the shared caches. `get` shows our own writes before the watch does. */
export class CacheView implements View {
  readonly #options: CacheViewOptions;

  constructor(options: CacheViewOptions) {
    this.#options = options;
  }

  get<T extends KubeObject>(type: ResourceType, namespace: string, name: string): T | undefined {
    const cached = this.#store(type).get(objectKey(namespace, name));
    return this.#options.writes.latest(objectId(type, namespace, name), cached) as T | undefined;
  }

  list<T extends KubeObject>(type: ResourceType, namespace: string): T[] {
    return this.#store(type).list(namespace) as T[];
  }

  children(type: ResourceType, ownerUid: string): KubeObject[] {
    return this.#store(type).byIndex(BY_CONTROLLER, ownerUid);
  }

  effect(object: ObjectRef, effect: string, inputDigest: string): EffectOutcome | undefined {
    const kind = this.#options.kinds.get(object.kind);
    const uid = kind && this.get(kind.type, object.namespace, object.name)?.metadata.uid;
    return uid === undefined
      ? undefined
      : this.#options.effects.outcome({ ref: object, uid }, effect, inputDigest);
  }

  report(object: ObjectRef, inputDigest: string): WorkReport | undefined {
    const kind = this.#options.kinds.get(object.kind);
    const uid = kind && this.get(kind.type, object.namespace, object.name)?.metadata.uid;
    return uid === undefined
      ? undefined
      : this.#options.reports.latest(ownerName({ ref: object, uid }), inputDigest);
  }

  #store(type: ResourceType) {
    const informer = this.#options.informers.find(type);
    // A fault of the program, not of its input: the caller would take "not watched" for "does not exist".
    if (!informer)
      throw new Error(`${type.group}/${type.kind} is not watched: ask manager.informer() for it at start`);
    return informer.store;
  }
}
