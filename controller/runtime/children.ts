import { FIELD_MANAGER, LABEL_MANAGED_BY } from "../../schemas/kind.ts";
import { SlipwayError } from "../errors.ts";
import { digestOf } from "../graph/canonical.ts";
import { conflictingManagers, controllerRef, isOwnedBy, ownedFieldsHash } from "../kube/apply.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound } from "../kube/kube-error.ts";
import { apiVersionOf, type KubeObject, keyOf, type ResourceType } from "../kube/resources.ts";
import type { AppliedRecord, AppliedStore } from "../store/store.ts";
import type { OwnWrites } from "./freshness.ts";
import type { Decision, View } from "./kind.ts";

export interface ChildrenOptions {
  readonly client: Pick<KubeClient, "apply" | "delete">;
  readonly applied: AppliedStore;
  readonly writes: OwnWrites;
  /** Shows our own writes at once. */
  readonly view: Pick<View, "get" | "children">;
}

/** What was done, for logs. */
export interface ChildrenResult {
  readonly applied: number;
  readonly deleted: number;
  /** The watch has yet to show something that we wrote. */
  readonly awaited: boolean;
}

/** Names an object among all types: the key of its applied record. */
export function objectId(type: ResourceType, namespace: string, name: string): string {
  return `${namespace}/${name}/${type.group}/${type.kind}`;
}

/** A child as it is applied: in its owner's namespace, owned and labelled. */
export function desiredChild(owner: KubeObject, child: KubeObject): KubeObject {
  const { namespace } = owner.metadata;
  if (child.metadata.namespace !== undefined && child.metadata.namespace !== namespace) {
    throw new SlipwayError(
      "InvalidChild",
      `${child.kind} ${keyOf(child)} is not in the namespace of its owner`,
    );
  }
  const { name, annotations, labels } = child.metadata;
  return {
    ...child,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(annotations ? { annotations } : {}),
      labels: { ...labels, [LABEL_MANAGED_BY]: FIELD_MANAGER },
      ownerReferences: [controllerRef(owner)],
    },
  };
}

/**
 * Makes an owner's children what they should be. An unchanged child costs no request, a changed one a dry run
 * and a PATCH; what is owned and not desired is deleted after everything else was applied.
 * @throws KubeError; SlipwayError `Conflict` for an object that is somebody else's, which is left as it is
 */
export class Children {
  readonly #options: ChildrenOptions;

  constructor(options: ChildrenOptions) {
    this.#options = options;
  }

  async reconcile(
    owner: KubeObject,
    types: readonly ResourceType[],
    { children, keep = [] }: Pick<Decision<unknown>, "children" | "keep">,
    signal: AbortSignal,
  ): Promise<ChildrenResult> {
    const namespace = owner.metadata.namespace ?? "";
    const kept = new Set(keep.map(({ type, name }) => objectId(type, namespace, name)));
    let applied = 0;
    let awaited = false;
    for (const child of children) {
      const type = types.find((each) => each.kind === child.kind && apiVersionOf(each) === child.apiVersion);
      if (!type)
        throw new SlipwayError(
          "InvalidChild",
          `${owner.kind} has no children of kind ${child.apiVersion} ${child.kind}`,
        );
      const id = objectId(type, namespace, child.metadata.name);
      kept.add(id);
      if (await this.#apply(owner, type, id, desiredChild(owner, child), signal)) applied++;
      awaited ||= this.#options.writes.has(id);
    }
    const deleted = await this.#prune(owner, types, kept, signal);
    return { applied, deleted, awaited };
  }

  /** Whether anything was written. */
  async #apply(
    owner: KubeObject,
    type: ResourceType,
    id: string,
    desired: KubeObject,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, applied, writes, view } = this.#options;
    const { name, namespace = "" } = desired.metadata;
    const specDigest = digestOf(desired);
    const current = view.get(type, namespace, name);
    const record = applied.get(id);
    const isOurs = current !== undefined && belongsTo(current, owner);
    // Its deletion wakes the owner, which then makes it anew.
    if (isOurs && current.metadata.deletionTimestamp !== undefined) return false;
    if (current && isUnchanged(current, record, specDigest)) return false;
    if (current && !isOurs) throw foreign(type, desired, ["another controller"]);
    // What is ours is taken back from whoever edited it; what is new must not take anything from anybody.
    const options = { fieldManager: FIELD_MANAGER, force: current !== undefined, signal };
    try {
      const planned = await client.apply(type, desired, { ...options, dryRun: true });
      const others = current || planned.metadata.uid === record?.uid ? [] : otherManagers(planned);
      if (others.length > 0) throw foreign(type, desired, others);
      const written = await client.apply(type, desired, options);
      writes.wrote(id, written);
      const { uid = "" } = written.metadata;
      await applied.set(id, { uid, specDigest, fieldsHash: ownedFieldsHash(written, FIELD_MANAGER) ?? "" });
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
      const managers = conflictingManagers(error);
      throw managers.length > 0 ? foreign(type, desired, managers) : error;
    }
  }

  async #prune(
    owner: KubeObject,
    types: readonly ResourceType[],
    kept: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<number> {
    const { client, applied, writes, view } = this.#options;
    const { uid: ownerUid = "" } = owner.metadata;
    let deleted = 0;
    for (const type of types) {
      for (const child of view.children(type, ownerUid)) {
        const { name, namespace = "", uid, deletionTimestamp } = child.metadata;
        const id = objectId(type, namespace, name);
        if (kept.has(id) || deletionTimestamp !== undefined || uid === undefined) continue;
        if (!isOwnedBy(child, ownerUid)) continue;
        try {
          // With the uid: an object of that name that was made since is not ours to delete.
          await client.delete(type, namespace, name, {
            preconditions: { uid },
            propagationPolicy: "Background",
            signal,
          });
          deleted++;
        } catch (error) {
          if (!isNotFound(error) && !isConflict(error)) throw error;
        }
        writes.forget(id);
        await applied.delete(id);
      }
    }
    return deleted;
  }
}

/**
 * Whether a child is the owner's, or that of one of the same kind and name which was there before it: that one is
 * gone, or there were no room for this one. Taken over, the child lives on where the garbage collector would
 * first delete it, for those who mount it to miss.
 */
function belongsTo(child: KubeObject, owner: KubeObject): boolean {
  const { name, uid = "" } = owner.metadata;
  const { apiVersion, kind } = owner;
  return (
    isOwnedBy(child, uid) ||
    (child.metadata.ownerReferences ?? []).some(
      (ref) =>
        ref.controller === true && ref.kind === kind && ref.apiVersion === apiVersion && ref.name === name,
    )
  );
}

/** Nobody has touched what we own of it, and we want nothing else of it. */
function isUnchanged(current: KubeObject, record: AppliedRecord | undefined, specDigest: string): boolean {
  return (
    record !== undefined &&
    current.metadata.uid === record.uid &&
    record.specDigest === specDigest &&
    ownedFieldsHash(current, FIELD_MANAGER) === record.fieldsHash
  );
}

/**
 * Who else has written an object that our apply would make. A new object has no other managers, so anybody
 * here means that it existed, outside of what we watch: somebody else's, which applying would take over.
 */
function otherManagers(planned: KubeObject): string[] {
  const managers = (planned.metadata.managedFields ?? []).map(({ manager = "unknown" }) => manager);
  return [...new Set(managers)].filter((manager) => manager !== FIELD_MANAGER);
}

function foreign(type: ResourceType, desired: KubeObject, managers: readonly string[]): SlipwayError {
  return new SlipwayError(
    "Conflict",
    `${type.kind} ${keyOf(desired)} exists and belongs to ${managers.join(", ")}`,
    {
      hint: "rename or delete one of the two",
    },
  );
}
