import { nodeKey } from "../graph/graph.ts";
import type { Assessment } from "./assess.ts";
import type { NotEvaluated } from "./not-evaluated.ts";

/**
 * Required suites that cannot decide: the base branch has none of that name, or the pull request removes it. Without
 * this a wrong name, or a removal, would let everything pass.
 * @param invalid suites that are said to be invalid already
 */
export function missingSuites(
  { base, head, impact }: Assessment,
  required: readonly string[],
  invalid: readonly string[],
): NotEvaluated[] {
  const missing = (suite: string, message: string): NotEvaluated => ({
    suite,
    gating: true,
    reason: "Missing",
    message,
  });
  return required.flatMap((suite) => {
    const key = nodeKey("EvalSuite", suite);
    if (base.graph.nodes.has(key)) {
      const unread = head?.incomplete || head?.errors.some(({ object }) => object === key);
      if (!head || head.graph.nodes.has(key) || unread) return [];
      return [missing(suite, "the Repository requires this suite, and the pull request removes it")];
    }
    if (invalid.includes(suite) || !changesBehaviour(impact)) return [];
    return [missing(suite, "the Repository requires this suite, and the base branch does not have it")];
  });
}

/** Something that suites judge behaves differently; suites that change judge nothing before they are merged. */
export function changesBehaviour(impact: Assessment["impact"]): boolean {
  return (impact?.changes ?? []).some(
    ({ key, change }) => change !== "settings" && !key.startsWith("EvalSuite/"),
  );
}
