import type { EvalRunSpec } from "../../schemas/eval-run.ts";
import { kindNamed, LABEL_REPOSITORY } from "../../schemas/index.ts";
import { BEHAVIOURS, type Edge, type EdgeType } from "../graph/behaviour.ts";
import { nodeKey } from "../graph/graph.ts";
import { type Facts, factsOf, type Outside } from "./facts.ts";
import { type Listed, type Readiness, readinessOf, short } from "./listed.ts";
import { earlierRuns, runsToShow } from "./runs.ts";

/**
 * How one thing leads to the next: the graph's edges, and what the graph does not need. `applied`: a Repository brought
 * it. `ran`: a suite's run. `read` and `left`: something outside of Slipway.
 */
export type FlowType = EdgeType | "applied" | "ran" | "read" | "left";

export interface Flow {
  /** Key of what is upstream. */
  readonly from: string;
  readonly to: string;
  readonly type: FlowType;
  /** Where the object downstream says so, e.g. `spec.targets[0].modelRef.name`. */
  readonly field?: string;
}

export interface LineageNode {
  /** `Kind/name`; of what is outside, its facts too. */
  readonly key: string;
  readonly kind: string;
  readonly name: string;
  /** `Missing`: something refers to it and it is not there. `Outside`: no object of Slipway's. */
  readonly state: "Ready" | "NotReady" | "Missing" | "Invalid" | "Outside";
  readonly reason: string;
  readonly message: string;
  readonly revision?: string;
  readonly facts: readonly string[];
}

/** Everything that is in a namespace and how it hangs together. */
export interface LineageGraph {
  readonly nodes: ReadonlyMap<string, LineageNode>;
  readonly flows: readonly Flow[];
}

/**
 * The chain of a namespace, from git commits to verdicts. Edges are those of the graph of revisions, so a kind is in it
 * with its behaviour. Never throws on what objects say: references to nothing, cycles, specs of another release.
 * @param run name of an EvalRun to show besides those that say something of now
 */
export function lineageGraph(objects: readonly Listed[], run?: string): LineageGraph {
  const nodes = new Map<string, LineageNode>();
  const flows: Flow[] = [];
  const shown = runsToShow(objects, run);
  const published = artifactsOf(objects);
  for (const object of objects) {
    if (object.kind === "EvalRun" && !shown.has(object.metadata.name)) continue;
    const key = nodeKey(object.kind, object.metadata.name);
    const parsed = parse(object);
    nodes.set(key, nodeOf(key, object, parsed?.facts.facts));
    const repository = object.metadata.labels?.[LABEL_REPOSITORY];
    if (repository !== undefined && object.kind !== "Repository")
      flows.push({ from: nodeKey("Repository", repository), to: key, type: "applied" });
    if (!parsed) continue;
    for (const edge of parsed.edges)
      flows.push({ from: referred(nodes, edge, object), to: key, type: edge.type, field: edge.field });
    for (const outside of parsed.facts.sources) {
      const from = outside.artifact === undefined ? undefined : published.get(outside.artifact);
      flows.push({ from: from ?? outsideNode(nodes, outside), to: key, type: "read" });
    }
    for (const outside of parsed.facts.products)
      flows.push({ from: key, to: outsideNode(nodes, outside), type: "left" });
    if (object.kind === "EvalRun")
      flows.push({
        from: nodeKey("EvalSuite", (parsed.spec as EvalRunSpec).suite.name),
        to: key,
        type: "ran",
        field: "spec.suite.name",
      });
  }
  for (const [key, fact] of earlierRuns(objects)) {
    const node = nodes.get(key);
    if (node) nodes.set(key, { ...node, facts: [...node.facts, fact] });
  }
  for (const { from } of flows) if (!nodes.has(from)) nodes.set(from, missing(from));
  return { nodes, flows };
}

/** Which object has published an artifact, by its digest. */
function artifactsOf(objects: readonly Listed[]): ReadonlyMap<string, string> {
  return new Map(
    objects.flatMap(({ kind, metadata, status }) => {
      const { artifact } = (status ?? {}) as { artifact?: { digest?: unknown } };
      return typeof artifact?.digest === "string"
        ? [[artifact.digest, nodeKey(kind, metadata.name)] as const]
        : [];
    }),
  );
}

interface Parsed {
  readonly spec: unknown;
  readonly edges: readonly Edge[];
  readonly facts: Facts;
}

/** Undefined for an object that this release does not understand. */
function parse(object: Listed): Parsed | undefined {
  const definition = kindNamed(object.kind);
  const spec = definition?.spec.safeParse(object.spec);
  if (!definition || !spec?.success) return undefined;
  // A status of another release is left out; what the spec says stands.
  const status = definition.status.safeParse(object.status ?? {});
  return {
    spec: spec.data,
    edges: BEHAVIOURS[object.kind]?.edges(spec.data as never) ?? [],
    facts: factsOf(object, spec.data, status.success ? status.data : {}),
  };
}

function nodeOf(key: string, object: Listed, facts: readonly string[] | undefined): LineageNode {
  const { ready, reason, message }: Readiness = readinessOf(object);
  const { shortRevision } = (object.status ?? {}) as { shortRevision?: unknown };
  const identity = { key, kind: object.kind, name: object.metadata.name };
  if (facts === undefined)
    return {
      ...identity,
      state: "Invalid",
      reason: "UnknownFields",
      message: "this release does not understand its spec",
      facts: [],
    };
  return {
    ...identity,
    state: ready === "True" ? "Ready" : "NotReady",
    reason,
    message,
    ...(typeof shortRevision === "string" ? { revision: short(shortRevision) } : {}),
    facts,
  };
}

/** The key of what an edge points to. What is in another namespace is told by its name: it was not listed. */
function referred(
  nodes: Map<string, LineageNode>,
  { kind, name, namespace }: Edge,
  { metadata }: Listed,
): string {
  if (namespace === undefined || namespace === metadata.namespace) return nodeKey(kind, name);
  return outsideNode(nodes, { kind, name: `${namespace}/${name}`, facts: [`in the namespace ${namespace}`] });
}

function outsideNode(nodes: Map<string, LineageNode>, { kind, name, facts }: Outside): string {
  // Two Repositories may have files of one name; their digests tell them apart.
  const key = [nodeKey(kind, name), ...facts].join(" ");
  nodes.set(key, { key, kind, name, state: "Outside", reason: "", message: "", facts });
  return key;
}

function missing(key: string): LineageNode {
  const [kind = "", name = ""] = key.split("/");
  return { key, kind, name, state: "Missing", reason: "NotFound", message: `there is no ${key}`, facts: [] };
}
