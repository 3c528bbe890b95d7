import type { EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import { canonicalJson } from "../graph/canonical.ts";
import { type GraphNode, nodeKey, type RevisionGraph } from "../graph/graph.ts";
import type { Assessment } from "./assess.ts";

/**
 * What stands in the head for a suite of the base: the one of its name, else the only new one with the same cases.
 * Renaming a suite together with its prompt must not be a way around it.
 */
export function successorSuite(suite: string, { base, head }: Assessment): EvalSuiteSpec | undefined {
  const own = head?.graph.nodes.get(nodeKey("EvalSuite", suite));
  if (own) return own.object.spec as EvalSuiteSpec;
  if (!head) return undefined;
  const cases = canonicalJson(base.cases.get(suite) ?? []);
  const heirs = added("EvalSuite", base.graph, head.graph).filter(
    ({ name }) => canonicalJson(head.cases.get(name) ?? []) === cases,
  );
  return heirs.length === 1 ? (heirs[0]?.object.spec as EvalSuiteSpec) : undefined;
}

/** Objects of the kind of `gone` that only the head has: one of them may be it under another name. */
export function possibleHeirs(
  gone: string,
  base: RevisionGraph,
  head: RevisionGraph,
): { readonly same: boolean; readonly keys: readonly string[] } {
  const node = base.nodes.get(gone);
  if (!node) return { same: false, keys: [] };
  const heirs = added(node.kind, base, head);
  const same = heirs.some(({ revision }) => revision !== undefined && revision === node.revision);
  return { same, keys: heirs.map(({ key }) => key) };
}

const added = (kind: string, base: RevisionGraph, head: RevisionGraph): GraphNode[] =>
  [...head.nodes.values()].filter((node) => node.kind === kind && !base.nodes.has(node.key));
