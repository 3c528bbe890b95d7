/** An object as a list answers it; what stands in spec and status is for each reader to check. */
export interface Listed {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

export interface Readiness {
  /** As `kubectl get` shows it: True, False, Unknown, or `1/2` for what has replicas; empty where there is no such thing. */
  readonly ready: string;
  readonly reason: string;
  readonly message: string;
}

interface ConditionLike {
  readonly type?: unknown;
  readonly status?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
}

const text = (value: unknown): string => (typeof value === "string" ? printable(value) : "");

/** The condition of a type, wherever the object has conditions. */
export function conditionOf({ status }: Listed, type: string): Readiness | undefined {
  const { conditions } = (status ?? {}) as { conditions?: unknown };
  if (!Array.isArray(conditions)) return undefined;
  const found = (conditions as ConditionLike[]).find((condition) => condition?.type === type);
  if (!found) return undefined;
  return { ready: text(found.status), reason: text(found.reason), message: text(found.message) };
}

/**
 * What an object of Slipway's says of itself, if it says it of its present spec: a status of an earlier generation is
 * no news of this one.
 */
export function readinessOf(object: Listed): Readiness {
  const { metadata, status } = object;
  if (metadata.deletionTimestamp !== undefined)
    return { ready: "False", reason: "Terminating", message: "it is being deleted" };
  const { observedGeneration } = (status ?? {}) as { observedGeneration?: unknown };
  const said = conditionOf(object, "Ready");
  if (!said || (typeof observedGeneration === "number" && observedGeneration < (metadata.generation ?? 0)))
    return { ready: "Unknown", reason: "NotReconciled", message: "the controller has not looked at it yet" };
  return said;
}

/** Without control characters: what a file or a pod says must not move the cursor of whoever reads it. */
export function printable(value: string): string {
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}

/** `3f6c2a1b0d9e`, or `sha256:3f6c2a1b0d9e`. */
export function short(digest: string): string {
  const [, prefix = "", hex = ""] = /^(sha256:)?(.*)$/s.exec(digest) ?? [];
  return prefix + printable(hex).slice(0, 12);
}
