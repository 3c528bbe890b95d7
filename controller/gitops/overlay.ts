import type { KubeObject } from "../kube/resources.ts";
import { keyOf } from "../kube/resources.ts";
import type { ObjectStore } from "../kube/store.ts";

/**
 * What we wrote last, until the watch has delivered it: a cache that lags behind our own write would otherwise
 * look like somebody else's change.
 */
export class WriteOverlay {
  readonly #written = new Map<string, KubeObject>();

  /** Remembers the server's answer to a write. */
  wrote(object: KubeObject): void {
    this.#written.set(`${object.kind}/${keyOf(object)}`, object);
  }

  /** The newer of what the store has and what we wrote. */
  get(kind: string, key: string, store: ObjectStore<KubeObject>): KubeObject | undefined {
    const stored = store.get(key);
    const id = `${kind}/${key}`;
    const ours = this.#written.get(id);
    if (!ours) return stored;
    // Numeric order of resource versions: true of etcd and a documented guarantee from Kubernetes 1.35 on.
    const version = (object: KubeObject) => BigInt(object.metadata.resourceVersion ?? "0");
    if (stored && version(stored) >= version(ours)) {
      this.#written.delete(id);
      return stored;
    }
    return ours;
  }

  forget(kind: string, key: string): void {
    this.#written.delete(`${kind}/${key}`);
  }
}
