import type { Json } from "../graph/canonical.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { WorkReport } from "../store/store.ts";

/** Names one object; what the queue holds. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Everything that `observe` may look at: caches only, no request leaves the process. */
export interface View {
  get<T extends KubeObject>(type: ResourceType, namespace: string, name: string): T | undefined;
  list<T extends KubeObject>(type: ResourceType, namespace: string): T[];
  /** Children of the owner. Ordinary types are watched metadata-only. */
  children(type: ResourceType, ownerUid: string): KubeObject[];
  /** The latest attempt of an effect of this object with this input. */
  effect(object: ObjectRef, effect: string, inputDigest: string): EffectOutcome | undefined;
  /** What a pod of this object said last of its work with this input. */
  report(object: ObjectRef, inputDigest: string): WorkReport | undefined;
}

export interface EffectOutcome {
  readonly state: "Running" | "Succeeded" | "Failed";
  /** 1 for the first. */
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly finishedAt?: number;
  readonly output?: Json;
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean };
  /** The last value given to `progress`. */
  readonly progress?: Json;
}

/**
 * A call that costs money or leaves the cluster. It runs outside the reconcile workers; asking again for the
 * same name, digest and attempt does nothing. What a decision no longer asks for is aborted.
 */
export interface EffectRequest {
  readonly name: string;
  readonly inputDigest: string;
  readonly input: Json;
  readonly attempt: number;
  /** True writes an intent before it starts and its outcome after, so that a crash neither loses nor doubles it. */
  readonly durable: boolean;
}

export interface EffectContext {
  readonly object: ObjectRef;
  /** As the stores know the object: `Kind/namespace/name/uid`. */
  readonly owner: string;
  readonly attempt: number;
  /** A former process began this attempt and its outcome is unknown: look before doing it again. */
  readonly recovered: boolean;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Shows progress to `decide` and wakes the object (at most once a second). */
  progress(value: Json): void;
}

export type EffectHandler = (input: Json, context: EffectContext) => Promise<Json>;

/** A Kubernetes Event worth a person's attention. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  /** Stable, CamelCase. */
  readonly reason: string;
  readonly note: string;
}

/** What should be, decided from what was observed. */
export interface Decision<Status> {
  /** The complete set of children; an owned object of `childTypes` that is not among them is deleted. */
  readonly children: readonly KubeObject[];
  /** Owned objects that stay as they are, although they are not among the children. */
  readonly keep?: readonly { readonly type: ResourceType; readonly name: string }[];
  readonly effects: readonly EffectRequest[];
  /** The whole status. The engine adds observedGeneration and lastHandledRequestedAt, and keeps
   *  lastTransitionTime of conditions whose status did not change. */
  readonly status: Status;
  readonly requeueAfterMs?: number;
  /** Recorded when the status they belong to is written. */
  readonly events?: readonly EventNote[];
}

/** Holds a deletion until an effect has let go of what the object has elsewhere. */
export interface Finalizer {
  readonly name: string;
  /** Whether this object may have anything outside. */
  needed(object: KubeObject): boolean;
  /** Lets go of all of it; undefined when there is nothing. A failure that no retry mends lets the object go. */
  release(object: KubeObject, view: View): EffectRequest | undefined;
}

/**
 * One kind: no I/O in it. The engine reads with `observe`, decides with `decide`, applies the children with
 * server-side apply, prunes, starts effects, and writes the status once if it changed.
 */
export interface Kind<Observed = unknown, Status = unknown> {
  readonly type: ResourceType;
  readonly childTypes: readonly ResourceType[];
  /**
   * Types that are watched in full, as far as they are managed by Slipway: children whose status counts, and the
   * pods made from them (found and woken by the label `slipway.dev/owner-uid` of their template).
   */
  readonly watches?: readonly ResourceType[];
  /** True: `decide` heeds `spec.suspend` itself, because what runs must not go on. */
  readonly suspends?: boolean;
  /** What has to end outside of the cluster before an object may go. */
  readonly finalizer?: Finalizer;
  observe(object: KubeObject, view: View): Observed;
  decide(observed: Observed, now: Date): Decision<Status>;
  /** Objects, of the same namespace unless one is given, that wake this one when they change. */
  dependencies?(object: KubeObject): readonly {
    readonly type: ResourceType;
    readonly name: string;
    readonly namespace?: string;
  }[];
  readonly effects?: Readonly<Record<string, EffectHandler>>;
}
