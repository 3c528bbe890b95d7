import type { ResourceType } from "../kube/resources.ts";

/*
 * References to objects of other namespaces. A reference `{name, namespace}` counts only where the object's
 * `spec.shareWith` names the namespace of the one who refers, or `*`. Every kind with such a reference uses these
 * functions: `sharedKey` for its maps, `sharedDependency` for its reverse wake-up, `sharedObject` in its decision.
 */

/** `localRef` with a namespace that may be another one. */
export interface SharedRef {
  readonly name: string;
  readonly namespace?: string | undefined;
}

interface Shareable {
  readonly metadata: { readonly namespace?: string };
  readonly spec: { readonly shareWith?: readonly string[] | undefined };
}

/** Kinds with `spec.shareWith`, and what is said where there is none of a name in the same namespace. */
const NOT_FOUND = { Dataset: "DatasetNotFound" } as const;

/** Names an object among those that one object refers to: `name` in its own namespace, else `namespace/name`. */
export const sharedKey = ({ name, namespace }: SharedRef): string =>
  namespace === undefined ? name : `${namespace}/${name}`;

/** What wakes an object with this reference: for `Kind.dependencies`. */
export const sharedDependency = (type: ResourceType, { name, namespace }: SharedRef) => ({
  type,
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

/**
 * The object that a reference means, if the namespace may use it. What is not shared and what does not exist are
 * answered alike: nobody learns the names of other namespaces' objects by guessing.
 * @param from namespace of the one who refers
 */
export function sharedObject<T extends Shareable>(
  kind: keyof typeof NOT_FOUND,
  ref: SharedRef,
  from: string,
  found: T | undefined,
): { object: T } | { missing: { reason: string; message: string } } {
  if (ref.namespace === undefined || ref.namespace === from) {
    if (found) return { object: found };
    return { missing: { reason: NOT_FOUND[kind], message: `there is no ${kind} ${ref.name}` } };
  }
  const { shareWith = [] } = found?.spec ?? {};
  if (found && (shareWith.includes("*") || shareWith.includes(from))) return { object: found };
  const message = `${kind} ${sharedKey(ref)} is not shared with the namespace ${from}: whoever owns it names the namespace in its spec.shareWith`;
  return { missing: { reason: "NotShared", message } };
}
