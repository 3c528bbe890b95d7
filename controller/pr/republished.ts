import type { EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import type { PromptTemplateSpec } from "../../schemas/prompt-template.ts";
import type { GraphNode, RevisionGraph } from "../graph/graph.ts";
import type { NotEvaluated } from "./not-evaluated.ts";

/** What was compared: the prompt of the base with the one of the head. */
interface Compared {
  readonly gating: boolean;
  readonly prompts: readonly { readonly base: string; readonly head: string }[];
}

/**
 * ConfigMaps that another prompt publishes than on the base, without the two having been compared: applications would
 * mount what no suite has seen, though the prompt that suites judge stays as it is.
 * @param decides whether a suite's verdict decides the commit status
 */
export function republished(
  base: RevisionGraph,
  head: RevisionGraph,
  runs: readonly Compared[],
  decides: (suite: string) => boolean,
): NotEvaluated[] {
  const former = Map.groupBy(publishers(base), configMapOf);
  return publishers(head).flatMap((prompt): NotEvaluated[] => {
    const name = configMapOf(prompt);
    const before = former.get(name) ?? [];
    const same = before.some((old) => old.name === prompt.name || sameRevision(old, prompt));
    if (before.length === 0 || same) return [];
    const suites = before.flatMap((old) => suitesOf(base, old.name));
    const gating = suites.some(decides);
    const compared = runs.some(
      (run) =>
        (run.gating || !gating) &&
        run.prompts.some((pair) => pair.head === prompt.name && before.some((old) => old.name === pair.base)),
    );
    if (compared) return [];
    const old = before.map((node) => node.key).join(", ");
    const message = `${prompt.key} takes the place of ${old} in ConfigMap ${name}, and no suite has compared the two. Change the prompt that publishes it, or name the new one in the suite's target in the place of the old one and remove that`;
    return [{ suite: `ConfigMap ${name}`, gating, reason: "Republished", message }];
  });
}

const publishers = (graph: RevisionGraph): GraphNode[] =>
  [...graph.nodes.values()].filter(
    (node) => node.kind === "PromptTemplate" && (node.object.spec as PromptTemplateSpec).output !== undefined,
  );

const configMapOf = ({ object }: GraphNode) =>
  (object.spec as PromptTemplateSpec).output?.configMapName ?? "";

const sameRevision = (a: GraphNode, b: GraphNode) => a.revision !== undefined && a.revision === b.revision;

const suitesOf = (graph: RevisionGraph, prompt: string): string[] =>
  [...graph.nodes.values()].flatMap((node) =>
    node.kind === "EvalSuite" &&
    (node.object.spec as EvalSuiteSpec).targets.some(({ promptRef }) => promptRef.name === prompt)
      ? [node.name]
      : [],
  );
