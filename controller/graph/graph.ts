import type { CustomResource } from "../../schemas/kind.ts";
import { BEHAVIOURS, type Edge } from "./behaviour.ts";
import { digestOf } from "./canonical.ts";

export interface GraphProblem {
  readonly code: "MissingReference" | "Cycle";
  readonly message: string;
  readonly field: string;
}

export interface GraphNode {
  /** `Kind/name`. */
  readonly key: string;
  readonly kind: string;
  readonly name: string;
  readonly object: CustomResource<unknown>;
  /** Digest over the whole desired object: must I apply? */
  readonly specDigest: string;
  /** Digest over what makes it behave as it does; undefined while content is missing or unresolved. */
  readonly revision: string | undefined;
  readonly edges: readonly Edge[];
  readonly problems: readonly GraphProblem[];
}

export interface RevisionGraph {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** Keys, dependencies first; nodes of a cycle last. */
  readonly order: readonly string[];
}

export const nodeKey = (kind: string, name: string): string => `${kind}/${name}`;

/** What an edge points to; the key of no node where that is in another namespace. */
export const edgeKey = ({ kind, name, namespace }: Pick<Edge, "kind" | "name" | "namespace">): string =>
  namespace === undefined ? nodeKey(kind, name) : `${kind}/${namespace}/${name}`;

/** The revision of an object outside the graph (applied by someone else), or undefined when there is none. */
export type ExternalRevision = (kind: string, name: string) => string | undefined;

/** Digest over the whole desired object as it is applied. */
export function specDigestOf(object: CustomResource<unknown>): string {
  const { apiVersion, kind, metadata, spec } = object;
  const { name, namespace, labels, annotations } = metadata;
  return digestOf({ apiVersion, kind, metadata: { name, namespace, labels, annotations }, spec });
}

/**
 * The revision of one object, given the revisions of its content edges.
 * References are replaced by what they refer to, so that renaming a dependency changes nothing.
 * @returns undefined while something it is made from is unresolved
 */
export function revisionOf(
  object: CustomResource<unknown>,
  contentRevision: (edge: Edge) => string | undefined,
): string | undefined {
  const behaviour = BEHAVIOURS[object.kind];
  if (!behaviour) return digestOf({ kind: object.kind, spec: object.spec });
  const fields = behaviour.fields(object.spec as never);
  if (fields === undefined) return undefined;
  const content: Record<string, string> = {};
  for (const edge of behaviour.edges(object.spec as never)) {
    if (edge.type !== "content") continue;
    const revision = contentRevision(edge);
    if (revision === undefined) return undefined;
    content[edge.field] = revision;
  }
  return digestOf({
    kind: object.kind,
    version: behaviour.version,
    fields,
    content: Object.keys(content).length > 0 ? content : undefined,
  });
}

/** Typed edges and revisions of a set of objects with distinct kind and name. Never throws on bad references. */
export function buildGraph(
  objects: readonly CustomResource<unknown>[],
  external: ExternalRevision = () => undefined,
): RevisionGraph {
  const byKey = new Map(objects.map((object) => [nodeKey(object.kind, object.metadata.name), object]));
  const nodes = new Map<string, GraphNode>();
  const order: string[] = [];
  const visiting = new Set<string>();

  function visit(key: string, object: CustomResource<unknown>): GraphNode | "cycle" {
    const known = nodes.get(key);
    if (known) return known;
    if (visiting.has(key)) return "cycle";
    visiting.add(key);
    const problems: GraphProblem[] = [];
    const edges = BEHAVIOURS[object.kind]?.edges(object.spec as never) ?? [];
    const revisions = new Map<string, string | undefined>();
    for (const edge of edges) {
      const targetKey = edgeKey(edge);
      const target = byKey.get(targetKey);
      // Of another namespace: only the cluster knows whether it is there, and may be used.
      if (!target && edge.namespace !== undefined) continue;
      if (!target) {
        const revision = external(edge.kind, edge.name);
        revisions.set(edge.field, revision);
        if (revision === undefined) {
          problems.push({
            code: "MissingReference",
            field: edge.field,
            message: `${edge.kind} ${JSON.stringify(edge.name)} is not in the repository`,
          });
        }
        continue;
      }
      if (edge.type !== "content") continue;
      const node = visit(targetKey, target);
      if (node === "cycle") {
        problems.push({
          code: "Cycle",
          field: edge.field,
          message: `${key} is made from ${targetKey}, which is made from ${key}`,
        });
      } else revisions.set(edge.field, node.revision);
    }
    visiting.delete(key);
    const node: GraphNode = {
      key,
      kind: object.kind,
      name: object.metadata.name,
      object,
      specDigest: specDigestOf(object),
      revision: revisionOf(object, (edge) => revisions.get(edge.field)),
      edges,
      problems,
    };
    nodes.set(key, node);
    order.push(key);
    return node;
  }

  // Sorted, so that the order does not depend on the order of files.
  for (const [key, object] of [...byKey].sort(([a], [b]) => (a < b ? -1 : 1))) visit(key, object);
  return { nodes, order: observedFirst(nodes, order) };
}

/**
 * Moves what observes or gates others behind them where that makes no cycle: a suite after its targets.
 * Content edges come first, whatever observes whom.
 */
function observedFirst(nodes: ReadonlyMap<string, GraphNode>, order: readonly string[]): string[] {
  const placed = new Set<string>();
  const waitsFor = (key: string, edge: Edge) => {
    const target = edgeKey(edge);
    return target !== key && nodes.has(target) && !placed.has(target);
  };
  const edgesOf = (key: string) => nodes.get(key)?.edges ?? [];
  let waiting = [...order];
  while (waiting.length > 0) {
    const before = placed.size;
    const left: string[] = [];
    for (const key of waiting) {
      if (edgesOf(key).some((edge) => waitsFor(key, edge))) left.push(key);
      else placed.add(key);
    }
    waiting = left;
    if (placed.size > before) continue;
    // A cycle: break it at an edge that is not content, or anywhere when it is all content.
    const free = (key: string) =>
      !edgesOf(key).some((edge) => edge.type === "content" && waitsFor(key, edge));
    const next = waiting.find(free) ?? waiting[0];
    if (next === undefined) break;
    placed.add(next);
    waiting = waiting.filter((key) => key !== next);
  }
  return [...placed];
}
