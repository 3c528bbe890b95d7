import { API_VERSION, GROUP, VERSION } from "../../schemas/kind.ts";
import type { InventoryEntry } from "../../schemas/repository.ts";
import type { GraphNode, RevisionGraph } from "../graph/graph.ts";

/** What is known of an object that exists in the namespace. */
export interface LiveObject {
  readonly uid: string;
  /** The Repository named in its label, if any. */
  readonly repository: string | undefined;
  /** Hash of our own managedFields entry; undefined when we own no field of it. */
  readonly fieldsHash: string | undefined;
  /** Being deleted, or its status says Ready at its generation. */
  readonly deleting: boolean;
  readonly ready: boolean;
}

export interface PlanInput {
  readonly repository: string;
  readonly namespace: string;
  readonly graph: RevisionGraph;
  readonly held: ReadonlyMap<string, string>;
  readonly hasErrors: boolean;
  readonly incomplete: boolean;
  /** A file that could not be read, where there is no error that names it. */
  readonly unread?: string | undefined;
  readonly inventory: readonly InventoryEntry[];
  live(kind: string, name: string): LiveObject | undefined;
  /** What we left when we applied it last. */
  applied(id: string): { uid: string; specDigest: string; fieldsHash: string } | undefined;
  readonly settings: {
    readonly prune: boolean;
    readonly deletionBudget: number;
    readonly onInvalid: "SkipDependents" | "Halt";
  };
}

export interface Plan {
  /** What differs from what we left, dependencies first. */
  readonly apply: readonly GraphNode[];
  /** Objects of somebody else that git wants under the same name. */
  readonly conflicts: readonly { readonly key: string; readonly owner: string }[];
  /** Entries whose manifests are gone. */
  readonly prune: readonly InventoryEntry[];
  /** Why nothing is pruned although there is something to prune. */
  readonly pruneHeld:
    | {
        readonly reason: "Incomplete" | "Disabled" | "DeletionBudgetExceeded" | "Halted" | "NotHealthy";
        readonly message: string;
      }
    | undefined;
  /** The inventory to write before anything is applied: what is there, and what is about to be. */
  readonly inventory: readonly InventoryEntry[];
}

export const inventoryId = (namespace: string, name: string, kind: string): string =>
  `${namespace}/${name}/${GROUP}/${kind}`;

/** The kind and name in an inventory id. */
export function parseInventoryId(id: string): { namespace: string; name: string; kind: string } {
  const [namespace = "", name = "", , kind = ""] = id.split("/");
  return { namespace, name, kind };
}

/**
 * Decides what to apply, to keep and to delete. An object is unchanged when its uid, the digest we applied and
 * the hash of our own managedFields entry are what we left.
 */
export function planSync(input: PlanInput): Plan {
  const known = new Map(input.inventory.map((entry) => [entry.id, entry]));
  if (input.hasErrors && input.settings.onInvalid === "Halt") {
    return {
      apply: [],
      conflicts: [],
      prune: [],
      pruneHeld: {
        reason: "Halted",
        message: "spec.onInvalid is Halt: nothing is applied while the repository has errors",
      },
      inventory: input.inventory,
    };
  }
  const apply: GraphNode[] = [];
  const conflicts: { key: string; owner: string }[] = [];
  const after = new Map<string, InventoryEntry>();
  for (const key of input.graph.order) {
    const node = input.graph.nodes.get(key);
    if (!node || input.held.has(key)) continue;
    const id = inventoryId(input.namespace, node.name, node.kind);
    const live = input.live(node.kind, node.name);
    if (live && !isOurs(live, known.get(id), input.repository)) {
      conflicts.push({
        key,
        owner: live.repository === undefined ? "somebody else" : `Repository ${live.repository}`,
      });
      continue;
    }
    const left = input.applied(id);
    const unchanged =
      live !== undefined &&
      left !== undefined &&
      left.uid === live.uid &&
      left.specDigest === node.specDigest &&
      left.fieldsHash === live.fieldsHash;
    if (!unchanged) apply.push(node);
    after.set(id, { id, version: VERSION, ...(live ? { uid: live.uid } : {}), digest: node.specDigest });
  }
  // What is held stays as it is, and so does what it would prune.
  const wanted = new Set([
    ...after.keys(),
    ...[...input.held.keys()].map((key) => heldId(input.namespace, key)),
  ]);
  const gone: InventoryEntry[] = [];
  for (const entry of input.inventory) {
    if (after.has(entry.id)) continue;
    const { kind, name } = parseInventoryId(entry.id);
    const live = input.live(kind, name);
    // Somebody else's by now: no longer ours to delete.
    if (live && !isOurs(live, entry, input.repository)) continue;
    // Written ahead by a process that died before it could note the uid.
    const found = live && entry.uid === undefined ? { ...entry, uid: live.uid } : entry;
    after.set(entry.id, found);
    if (!wanted.has(entry.id)) gone.push(found);
  }
  const blocking = input.graph.order
    .map((key) => input.graph.nodes.get(key))
    .filter((node): node is GraphNode => node !== undefined && !input.held.has(node.key))
    // Nobody reconciles what is suspended: it would be waited for in vain.
    .filter((node) => (node.object.spec as { suspend?: boolean }).suspend !== true)
    .find((node) => input.live(node.kind, node.name)?.ready !== true);
  return {
    apply,
    conflicts,
    prune: gone,
    pruneHeld: gone.length === 0 ? undefined : whyNotPrune(input, gone.length, apply.length > 0, blocking),
    inventory: [...after.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

/** Labelled as ours, or the very object that we applied with its label taken away. */
function isOurs(live: LiveObject, entry: InventoryEntry | undefined, repository: string): boolean {
  if (live.repository !== undefined) return live.repository === repository;
  return entry?.uid !== undefined && entry.uid === live.uid;
}

const heldId = (namespace: string, key: string) => {
  const [kind = "", name = ""] = key.split("/");
  return inventoryId(namespace, name, kind);
};

function whyNotPrune(
  input: PlanInput,
  count: number,
  applying: boolean,
  blocking: GraphNode | undefined,
): Plan["pruneHeld"] {
  if (!input.settings.prune) return { reason: "Disabled", message: "spec.prune is false" };
  if (input.incomplete) {
    return {
      reason: "Incomplete",
      message: `${input.unread ?? "a file"} could not be read, so what is absent may only be unreadable: nothing is deleted`,
    };
  }
  if (count > input.settings.deletionBudget) {
    return {
      reason: "DeletionBudgetExceeded",
      message: `${count} objects would be deleted, spec.deletionBudget allows ${input.settings.deletionBudget}: raise it to let them go`,
    };
  }
  if (applying || blocking) {
    return {
      reason: "NotHealthy",
      message: blocking
        ? `waiting for ${blocking.key} to be Ready before deleting anything`
        : "waiting for what was just applied",
    };
  }
  return undefined;
}

/** The object as it is sent to the API server. */
export function desiredObject(node: GraphNode, namespace: string, labels: Record<string, string>) {
  return {
    apiVersion: API_VERSION,
    kind: node.kind,
    metadata: {
      name: node.name,
      namespace,
      labels: { ...node.object.metadata.labels, ...labels },
      ...(node.object.metadata.annotations ? { annotations: node.object.metadata.annotations } : {}),
    },
    spec: node.object.spec,
  };
}
