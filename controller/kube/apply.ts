import { createHash } from "node:crypto";
import type { Impersonation, KubeClient } from "./client.ts";
import { isConflict, KubeError } from "./kube-error.ts";
import type { KubeObject, OwnerReference, ResourceType } from "./resources.ts";

/**
 * Hash of the fields that `fieldManager` has applied and still owns; it changes when anybody takes one
 * over, and not when somebody else adds fields of their own, or writes the status.
 * @returns undefined when the manager has applied nothing
 */
export function ownedFieldsHash(object: KubeObject, fieldManager: string): string | undefined {
  const entry = object.metadata.managedFields?.find(
    (fields) => fields.manager === fieldManager && fields.operation === "Apply" && !fields.subresource,
  );
  if (!entry?.fieldsV1) return undefined;
  return createHash("sha256")
    .update(JSON.stringify(sortKeys(entry.fieldsV1)))
    .digest("hex");
}

function sortKeys(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}

export interface ApplyCheckedOptions {
  readonly fieldManager: string;
  readonly as?: Impersonation;
  readonly signal?: AbortSignal;
  /** Take over fields that others own. */
  readonly force?: boolean;
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
}

/**
 * Applies an object after a dry run of the same request, so that what admission or another manager
 * refuses is known before anything is written.
 * @returns the object as it now is
 * @throws KubeError; {@link isConflict} when fields belong to another manager, who is named
 */
export async function applyChecked<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  desired: T,
  options: ApplyCheckedOptions,
): Promise<T> {
  try {
    await client.apply(type, desired, { ...options, dryRun: true });
    return await client.apply(type, desired, options);
  } catch (error) {
    throw isConflict(error) ? withManagers(error) : error;
  }
}

/** The managers that own fields which an apply wanted, as a Conflict names them; empty for other errors. */
export function conflictingManagers(error: unknown): string[] {
  if (!isConflict(error)) return [];
  const names = error.causes
    .filter((cause) => cause.reason === "FieldManagerConflict")
    .map((cause) => /^conflict with "([^"]*)"/.exec(cause.message ?? "")?.[1])
    .filter((name) => name !== undefined);
  return [...new Set(names)];
}

function withManagers(error: KubeError): KubeError {
  const managers = conflictingManagers(error);
  if (managers.length === 0) return error;
  const fields = error.causes.map((cause) => cause.field).filter((field) => field !== undefined);
  return new KubeError(error.status, error.reason, error.message, {
    cause: error,
    causes: error.causes,
    hint: `${fields.join(", ")} belong to ${managers.join(", ")}: remove them here, or let go of them there`,
  });
}

/** The reference that makes `owner` the one controller of a child, which is deleted with it. */
export function controllerRef(owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  if (!uid) throw new Error(`${owner.kind} ${name} has no uid yet and cannot own anything`);
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Whether the object's controller is the one with this uid; a plain owner reference does not count. */
export function isOwnedBy(object: KubeObject, ownerUid: string): boolean {
  return (
    object.metadata.ownerReferences?.some((ref) => ref.controller === true && ref.uid === ownerUid) ?? false
  );
}
