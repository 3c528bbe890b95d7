import type { Condition } from "../../schemas/common.ts";
import { ANNOTATION_REQUESTED_AT } from "../../schemas/kind.ts";
import { canonicalJson } from "../graph/canonical.ts";
import type { KubeObject } from "../kube/resources.ts";
import { READINESS_TYPES, reconciling, stalled, suspended } from "./conditions.ts";

/** What the engine itself knows of a status; the rest is the kind's. */
export interface Status {
  observedGeneration?: number;
  conditions?: Condition[];
  lastHandledRequestedAt?: string;
  [field: string]: unknown;
}

export function statusOf(object: KubeObject): Status {
  return (object.status as Status | undefined) ?? {};
}

/** The annotation that asks for a reconcile. */
export function requestedAt(object: KubeObject): string | undefined {
  return object.metadata.annotations?.[ANNOTATION_REQUESTED_AT]?.slice(0, 256);
}

/**
 * The decided status as it is written: generation, echo of the request, and for each condition the time
 * since when it has its status.
 */
export function completeStatus(object: KubeObject, decided: object, now: Date): Status {
  const before = statusOf(object);
  const generation = object.metadata.generation ?? 0;
  const handled = requestedAt(object) ?? before.lastHandledRequestedAt;
  const status: Status = { ...decided, observedGeneration: generation };
  if (handled !== undefined) status.lastHandledRequestedAt = handled;
  if (status.conditions) {
    const known = new Map(before.conditions?.map((condition) => [condition.type, condition]));
    status.conditions = status.conditions.map((condition) => {
      const former = known.get(condition.type);
      const lastTransitionTime =
        former?.status === condition.status ? former.lastTransitionTime : timestamp(now);
      return { ...condition, observedGeneration: generation, lastTransitionTime };
    });
  }
  return withoutUndefined(status);
}

/** The status of an object that nobody reconciles: what was known stays, readiness is unknown. */
export function suspendedStatus(object: KubeObject): object {
  return withReadiness(object, suspended());
}

/** The status after an error that needs a person. */
export function stalledStatus(object: KubeObject, reason: string, message: string): object {
  return withReadiness(object, stalled(reason, message));
}

/** The status while something fails that may yet work. */
export function troubledStatus(object: KubeObject, reason: string, message: string): object {
  return withReadiness(object, reconciling(reason, message));
}

function withReadiness(object: KubeObject, conditions: Condition[]): object {
  const before = statusOf(object);
  const others = (before.conditions ?? []).filter(({ type }) => !READINESS_TYPES.has(type));
  return { ...before, conditions: [...conditions, ...others] };
}

/** Whether a write would change something; times of transitions do not count. */
export function sameStatus(a: Status, b: Status): boolean {
  return canonicalJson(withoutTimes(a)) === canonicalJson(withoutTimes(b));
}

/** The JSON merge patch (RFC 7386) that turns one object into the other, so that stale members vanish. */
export function mergePatch(
  from: Record<string, unknown>,
  to: Record<string, unknown>,
): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(from)) {
    if (to[key] === undefined) patch[key] = null;
  }
  for (const [key, value] of Object.entries(to)) {
    const before = from[key];
    if (value === undefined) continue;
    if (isRecord(before) && isRecord(value)) {
      const inner = mergePatch(before, value);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (before === undefined || canonicalJson(before) !== canonicalJson(value)) {
      patch[key] = value;
    }
  }
  return patch;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function withoutTimes(status: Status): unknown {
  const conditions = status.conditions?.map(({ lastTransitionTime: _, ...condition }) => condition);
  return { ...status, ...(conditions ? { conditions } : {}) };
}

/** A member that is undefined is absent on the server, also deep inside. */
function withoutUndefined(status: Status): Status {
  return JSON.parse(JSON.stringify(status)) as Status;
}

/** As metav1.Time writes it: whole seconds. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
