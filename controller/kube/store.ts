import { SlipwayError } from "../errors.ts";
import { type KubeObject, keyOf } from "./resources.ts";
import type { WatchEvent } from "./watch-machine.ts";

export type IndexFunction<T> = (object: T) => readonly string[];
export type StoreSubscriber<T> = (before: T | undefined, after: T | undefined) => void;

interface Index<T> {
  readonly of: IndexFunction<T>;
  readonly keys: Map<string, Set<string>>;
}

/**
 * What a watch has seen, by key. Objects are shared, complete and as the server sent them: read them,
 * never change them.
 */
export class ObjectStore<T extends KubeObject = KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #subscribers = new Set<StoreSubscriber<T>>();
  readonly #firstSync = Promise.withResolvers<void>();
  #synced = false;

  constructor() {
    this.#indexes.set(NAMESPACE, { of: (object) => [object.metadata.namespace ?? ""], keys: new Map() });
    // Whoever does not wait for the first list need not handle that it never came.
    this.#firstSync.promise.catch(() => {});
  }

  /** Resolves after the first complete list; rejects when the watch was stopped before. */
  get synced(): Promise<void> {
    return this.#firstSync.promise;
  }

  get hasSynced(): boolean {
    return this.#synced;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** All objects, or one namespace's, in no particular order. */
  list(namespace?: string): T[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex(NAMESPACE, namespace);
  }

  /** Files every object, present and future, under the values that `of` gives for it. */
  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) throw new Error(`there is an index ${JSON.stringify(name)} already`);
    const index: Index<T> = { of, keys: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) file(index, key, object);
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`there is no index ${JSON.stringify(name)}`);
    return Array.from(index.keys.get(value) ?? [], (key) => this.#objects.get(key)!);
  }

  /**
   * Calls back after each change with the object before and after, either undefined; not for what is in
   * the store already. Returns the function that ends it.
   */
  subscribe(subscriber: StoreSubscriber<T>): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** Takes in an event of the watch. An object at the version already stored changes nothing. */
  handle(event: WatchEvent<T>): void {
    if (event.type === "synced") {
      this.#synced = true;
      this.#firstSync.resolve();
      return;
    }
    const key = keyOf(event.object);
    const before = this.#objects.get(key);
    if (event.type === "deleted") {
      if (!before) return;
      this.#replace(key, before, undefined);
      // The last state, which the event carries, rather than the one before it.
      this.#notify(event.object, undefined);
      return;
    }
    if (before && sameVersion(before, event.object)) return;
    this.#replace(key, before, event.object);
    this.#notify(before, event.object);
  }

  /** Tells those who wait for the first list that it will not come. */
  stopped(): void {
    this.#firstSync.reject(
      new SlipwayError("WatchStopped", "the watch was stopped before its first list was complete"),
    );
  }

  #replace(key: string, before: T | undefined, after: T | undefined): void {
    if (after) this.#objects.set(key, after);
    else this.#objects.delete(key);
    for (const index of this.#indexes.values()) {
      if (before) unfile(index, key, before);
      if (after) file(index, key, after);
    }
  }

  /** One subscriber's failure must not hide the change from the others. */
  #notify(before: T | undefined, after: T | undefined): void {
    const failures: unknown[] = [];
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(before, after);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, "store subscribers failed");
  }
}

const NAMESPACE = "namespace";

function sameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata.resourceVersion;
  return version !== undefined && version === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid;
}

function file<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    if (keys) keys.add(key);
    else index.keys.set(value, new Set([key]));
  }
}

function unfile<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}
