import type { EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import { digestOf } from "./canonical.ts";
import { edgeKey, type GraphNode, nodeKey, type RevisionGraph } from "./graph.ts";

export type ChangeKind = "added" | "removed" | "changed" | "settings";

export interface Change {
  readonly key: string;
  /** `settings`: applied differently, behaves the same (replicas, prices, budgets, descriptions). */
  readonly change: ChangeKind;
  readonly baseRevision: string | undefined;
  readonly headRevision: string | undefined;
}

export interface SuiteImpact {
  readonly suite: string;
  /** Changed nodes through which the suite is touched. */
  readonly via: readonly string[];
  readonly baseSide: string | undefined;
  readonly headSide: string | undefined;
}

export interface Impact {
  readonly changes: readonly Change[];
  /** Suites of the base whose targets behave differently in the head. */
  readonly suites: readonly SuiteImpact[];
  /** Suites that the head adds, removes or edits: advisory until merged. */
  readonly suiteEdits: readonly Change[];
}

/** Digest over the revisions of a suite's targets on one side; undefined when one is missing or unresolved. */
export function sideRevision(
  suite: EvalSuiteSpec,
  graph: { readonly nodes: ReadonlyMap<string, { readonly revision: string | undefined }> },
): string | undefined {
  const targets: Record<string, readonly string[]> = {};
  for (const target of suite.targets) {
    const prompt = graph.nodes.get(nodeKey("PromptTemplate", target.promptRef.name))?.revision;
    const model = graph.nodes.get(nodeKey("ModelDeployment", target.modelRef.name))?.revision;
    if (prompt === undefined || model === undefined) return undefined;
    targets[target.name] = [prompt, model];
  }
  return digestOf(targets);
}

/** What differs between two graphs, and which of the base's suites that reaches. */
export function impactOf(base: RevisionGraph, head: RevisionGraph): Impact {
  const changes: Change[] = [];
  for (const key of [...new Set([...base.nodes.keys(), ...head.nodes.keys()])].sort()) {
    const change = compareNodes(base.nodes.get(key), head.nodes.get(key));
    if (change) changes.push({ key, ...change });
  }
  const behaving = new Set(changes.filter((c) => c.change !== "settings").map((c) => c.key));
  const suites: SuiteImpact[] = [];
  for (const node of base.nodes.values()) {
    if (node.kind !== "EvalSuite") continue;
    const spec = node.object.spec as EvalSuiteSpec;
    const baseSide = sideRevision(spec, base);
    const headSide = sideRevision(spec, head);
    const via = [...new Set(node.edges.map(edgeKey))].filter((key) => behaving.has(key));
    if (via.length > 0) suites.push({ suite: node.name, via, baseSide, headSide });
  }
  return {
    changes,
    suites: suites.sort((a, b) => (a.suite < b.suite ? -1 : 1)),
    suiteEdits: changes.filter((c) => c.key.startsWith("EvalSuite/")),
  };
}

function compareNodes(
  base: GraphNode | undefined,
  head: GraphNode | undefined,
): Omit<Change, "key"> | undefined {
  const revisions = { baseRevision: base?.revision, headRevision: head?.revision };
  if (!base) return { change: "added", ...revisions };
  if (!head) return { change: "removed", ...revisions };
  if (base.revision !== head.revision) return { change: "changed", ...revisions };
  if (base.specDigest === head.specDigest) return undefined;
  // Two unresolved revisions are not equal ones.
  if (head.revision === undefined) return { change: "changed", ...revisions };
  return { change: "settings", ...revisions };
}
