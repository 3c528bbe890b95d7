import type { KubeObject } from "../kube/resources.ts";

/**
 * Whether resource version `a` is before `b`. They are decimal numbers that grow, for every type that a
 * conformant API server serves (KEP-5504); anything else is never taken for older.
 */
export function olderThan(a: string | undefined, b: string | undefined): boolean {
  if (!a || !b || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  return a.length === b.length ? a < b : a.length < b.length;
}

/** How long a write that the watch has not shown is believed without it. */
const BELIEVED_MS = 30_000;

interface Written {
  readonly object: KubeObject;
  readonly at: number;
}

/**
 * What this process wrote and the watch has not shown yet, so that a cache that lags behind our own writes
 * neither repeats them nor is mistaken for somebody's change.
 */
export class OwnWrites {
  readonly #now: () => number;
  readonly #written = new Map<string, Written>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param id names the object among all types */
  wrote(id: string, object: KubeObject): void {
    this.#written.set(id, { object, at: this.#now() });
  }

  /** The newer of what is in the cache and what we wrote. */
  latest(id: string, cached: KubeObject | undefined): KubeObject | undefined {
    const written = this.#written.get(id);
    if (!written) return cached;
    const caughtUp = cached !== undefined && !isBehind(cached, written.object);
    if (caughtUp || this.#now() - written.at > BELIEVED_MS) {
      this.#written.delete(id);
      return cached;
    }
    return written.object;
  }

  /** Whether something is still believed without the watch; exact after `latest`. */
  has(id: string): boolean {
    return this.#written.has(id);
  }

  /** The watch has shown that the object is gone, at this version; an earlier one is a cache that lags. */
  deleted(id: string, last: KubeObject): void {
    const written = this.#written.get(id);
    if (written && !isBehind(last, written.object)) this.#written.delete(id);
  }

  forget(id: string): void {
    this.#written.delete(id);
  }
}

/** An object made again under the same name is newer or older by its version like any other. */
function isBehind(cached: KubeObject, written: KubeObject): boolean {
  return olderThan(cached.metadata.resourceVersion, written.metadata.resourceVersion);
}
