import { SlipwayError } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import type { Logger } from "../log.ts";

export interface WatchScope {
  /** Only metadata; objects then have neither spec nor status. */
  readonly metadataOnly?: boolean;
  readonly labelSelector?: string;
}

export type Change = (
  type: ResourceType,
  before: KubeObject | undefined,
  after: KubeObject | undefined,
) => void;

/** The index under which a store finds the objects that an owner controls, by its uid. */
export const BY_CONTROLLER = "controller";

export interface InformersOptions {
  readonly client: KubeClient;
  readonly log: Logger;
  /** All namespaces unless given. */
  readonly namespace?: string;
  /** Called for every change of every informer. */
  readonly onChange: Change;
}

/** One informer per type and depth, shared by all who need it. */
export class Informers {
  readonly #options: InformersOptions;
  readonly #full = new Map<string, Informer>();
  readonly #metadata = new Map<string, Informer>();
  readonly #selectors = new Map<Informer, string | undefined>();

  constructor(options: InformersOptions) {
    this.#options = options;
  }

  /**
   * The informer of a type, started by the first who asks.
   * @throws SlipwayError WatchMismatch when it watches with another selector already
   */
  get<T extends KubeObject = KubeObject>(type: ResourceType, scope: WatchScope = {}): Informer<T> {
    const all = scope.metadataOnly ? this.#metadata : this.#full;
    const known = all.get(keyOfType(type));
    if (known) {
      if (this.#selectors.get(known) !== scope.labelSelector) {
        throw new SlipwayError(
          "WatchMismatch",
          `${type.kind} is watched with another label selector already`,
        );
      }
      return known as unknown as Informer<T>;
    }
    const { client, log, namespace, onChange } = this.#options;
    const informer = startInformer(client, type, {
      ...scope,
      ...(namespace !== undefined && type.namespaced ? { namespace } : {}),
      indexes: { [BY_CONTROLLER]: controllerUids },
      log,
    });
    informer.store.subscribe((before, after) => onChange(type, before, after));
    all.set(keyOfType(type), informer);
    this.#selectors.set(informer, scope.labelSelector);
    return informer as unknown as Informer<T>;
  }

  /** What shows most of a type: full objects before metadata. */
  find(type: ResourceType): Informer | undefined {
    return this.#full.get(keyOfType(type)) ?? this.#metadata.get(keyOfType(type));
  }

  get synced(): boolean {
    return this.#all().every(({ store }) => store.hasSynced);
  }

  /** Resolves when every informer has listed; rejects when one ended before. */
  async whenSynced(): Promise<void> {
    for (const { store } of this.#all()) await store.synced;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()));
  }

  #all(): Informer[] {
    return [...this.#full.values(), ...this.#metadata.values()];
  }
}

export function keyOfType(type: Pick<ResourceType, "group" | "kind">): string {
  return `${type.group}/${type.kind}`;
}

function controllerUids(object: KubeObject): string[] {
  return (object.metadata.ownerReferences ?? []).filter((ref) => ref.controller).map((ref) => ref.uid);
}
