import type { Logger } from "../log.ts";
import type { KubeClient } from "./client.ts";
import type { KubeObject, ResourceType } from "./resources.ts";
import { type IndexFunction, ObjectStore } from "./store.ts";
import { watchResource } from "./watch.ts";

export interface InformerOptions<T extends KubeObject> {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly metadataOnly?: boolean;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** Ends the informer, as `stop` does. */
  readonly signal?: AbortSignal;
  readonly log: Logger;
}

export interface Informer<T extends KubeObject = KubeObject> {
  readonly type: ResourceType;
  readonly store: ObjectStore<T>;
  /** Resolves when the watch has ended; the store keeps what it has. */
  stop(): Promise<void>;
}

/** A store that a watch keeps equal to the cluster. Nothing is delivered before this returns. */
export function startInformer<T extends KubeObject = KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: InformerOptions<T>,
): Informer<T> {
  const { indexes = {}, signal, ...rest } = options;
  const store = new ObjectStore<T>();
  for (const [name, of] of Object.entries(indexes)) store.addIndex(name, of);
  const controller = new AbortController();
  const end = () => controller.abort();
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  const done = watchResource<T>(client, type, {
    ...rest,
    signal: controller.signal,
    onEvent: (event) => store.handle(event),
  })
    .catch((err) => options.log.error({ err, watch: type.plural }, "a watch ended by a fault of its own"))
    .finally(() => {
      signal?.removeEventListener("abort", end);
      store.stopped();
    });
  return {
    type,
    store,
    stop() {
      end();
      return done;
    },
  };
}
