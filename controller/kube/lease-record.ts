import { apiVersionOf, type KubeObject, Lease, type ObjectMeta } from "./resources.ts";

export interface LeaseObject extends KubeObject {
  metadata: ObjectMeta;
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** A lease and when this process first saw it in this state, by its own monotonic clock. */
export interface Observed {
  readonly lease: LeaseObject;
  readonly at: number;
  /** Nobody holds it, or its holder has not renewed it for as long as it said. */
  expired(now: number): boolean;
}

/** Takes in what was read: the time counts from when the holder last changed something. */
export function observe(before: Observed | undefined, lease: LeaseObject, now: number): Observed {
  const same = before !== undefined && JSON.stringify(before.lease.spec) === JSON.stringify(lease.spec);
  const at = same ? before.at : now;
  const { holderIdentity, leaseDurationSeconds = 0 } = lease.spec;
  return {
    lease,
    at,
    expired: (later) => !holderIdentity || later - at >= leaseDurationSeconds * 1000,
  };
}

export function heldBy(observed: Observed, identity: string): boolean {
  return observed.lease.spec.holderIdentity === identity;
}

export interface Term {
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly durationMs: number;
  readonly now: Date;
}

/** The lease as its holder writes it: taken over, or renewed when it was its own already. */
export function taken(current: LeaseObject | undefined, term: Term): LeaseObject {
  const renewTime = microTime(term.now);
  const renews = current?.spec.holderIdentity === term.identity;
  return {
    apiVersion: apiVersionOf(Lease),
    kind: Lease.kind,
    // With the resourceVersion read: the lock that lets one candidate win.
    metadata: current?.metadata ?? { namespace: term.namespace, name: term.name },
    spec: {
      ...current?.spec,
      holderIdentity: term.identity,
      leaseDurationSeconds: Math.ceil(term.durationMs / 1000),
      acquireTime: renews ? (current.spec.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: current ? (current.spec.leaseTransitions ?? 0) + (renews ? 0 : 1) : 0,
    },
  };
}

/** The lease given back: free at once, as client-go's ReleaseOnCancel leaves it. */
export function released(current: LeaseObject, now: Date): LeaseObject {
  const time = microTime(now);
  return {
    ...current,
    spec: {
      holderIdentity: "",
      leaseDurationSeconds: 1,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: current.spec.leaseTransitions ?? 0,
    },
  };
}

/** Kubernetes' MicroTime: six digits after the point. */
export function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
