import { apiVersionOf, type KubeObject, keyOf, type ResourceType } from "../kube/resources.ts";
import { keyOfType } from "./informers.ts";
import type { Kind } from "./kind.ts";

/** The index under which a kind's store finds the objects that depend on another. */
export const BY_DEPENDENCY = "dependency";

/** Index values of an object: what it depends on, in its own namespace unless another one is named. */
export function dependencyKeys(kind: Kind, object: KubeObject): string[] {
  const { namespace = "" } = object.metadata;
  // An object that was written under an older schema must not stop the watch.
  try {
    return (kind.dependencies?.(object) ?? []).map((each) =>
      dependencyKey(each.type, each.namespace ?? namespace, each.name),
    );
  } catch {
    return [];
  }
}

export function dependencyKey(
  type: Pick<ResourceType, "group" | "kind">,
  namespace: string,
  name: string,
): string {
  return `${keyOfType(type)}/${namespace}/${name}`;
}

/**
 * The owners, of one of the kinds, of an object before and after a change: an object that changes hands, or
 * is let go of, concerns both.
 */
export function ownersOf(
  kinds: Iterable<Kind>,
  before: KubeObject | undefined,
  after: KubeObject | undefined,
): { kind: Kind; key: string }[] {
  const found = new Map<string, { kind: Kind; key: string }>();
  for (const object of [before, after]) {
    for (const owner of object?.metadata.ownerReferences ?? []) {
      if (!owner.controller) continue;
      for (const kind of kinds) {
        if (kind.type.kind !== owner.kind || apiVersionOf(kind.type) !== owner.apiVersion) continue;
        const { namespace } = object!.metadata;
        const key = keyOf({ metadata: { ...(namespace ? { namespace } : {}), name: owner.name } });
        found.set(`${owner.kind}/${key}`, { kind, key });
      }
    }
  }
  return [...found.values()];
}
