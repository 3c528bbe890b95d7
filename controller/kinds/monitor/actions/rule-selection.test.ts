import { describe, expect, test } from "vitest";
import { type LabelSelector, type RuleSelecting, selects, takesUp } from "./rule-selection.ts";

describe("a label selector", () => {
  const labels = { app: "llm", tier: "a" };
  test.each<[string, LabelSelector | undefined | null, boolean]>([
    ["none selects nothing", undefined, false],
    ["null selects nothing", null, false],
    ["an empty one selects all", {}, true],
    ["matchLabels", { matchLabels: { app: "llm" } }, true],
    ["another value", { matchLabels: { app: "web" } }, false],
    ["In", { matchExpressions: [{ key: "tier", operator: "In", values: ["a", "b"] }] }, true],
    ["In of what is not there", { matchExpressions: [{ key: "x", operator: "In", values: ["a"] }] }, false],
    ["NotIn", { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["b"] }] }, true],
    [
      "NotIn of what is not there",
      { matchExpressions: [{ key: "x", operator: "NotIn", values: ["b"] }] },
      true,
    ],
    ["Exists", { matchExpressions: [{ key: "x", operator: "Exists" }] }, false],
    ["DoesNotExist", { matchExpressions: [{ key: "x", operator: "DoesNotExist" }] }, true],
    ["an operator to come", { matchExpressions: [{ key: "x", operator: "Newer" }] }, false],
    [
      "all of them",
      { matchLabels: { app: "llm" }, matchExpressions: [{ key: "tier", operator: "In", values: ["b"] }] },
      false,
    ],
  ])("%s", (_, selector, expected) => expect(selects(selector, labels)).toBe(expected));
});

describe("a Prometheus takes up a rule", () => {
  const rule = { namespace: "team", labels: { release: "stack" } };
  const prometheus = (spec: RuleSelecting["spec"], namespace = "monitoring"): RuleSelecting => ({
    metadata: { name: "p", namespace },
    ...(spec ? { spec } : {}),
  });
  const everywhere = { ruleSelector: {}, ruleNamespaceSelector: {} };
  test.each([
    ["of any label and namespace", prometheus(everywhere), true],
    ["without ruleSelector, never", prometheus({ ruleNamespaceSelector: {} }), false],
    ["without spec, never", prometheus(undefined), false],
    ["without ruleNamespaceSelector, only at home", prometheus({ ruleSelector: {} }), false],
    ["at home", prometheus({ ruleSelector: {} }, "team"), true],
    [
      "with the label that it asks for",
      prometheus({ ...everywhere, ruleSelector: { matchLabels: { release: "stack" } } }),
      true,
    ],
    [
      "without the label that it asks for",
      prometheus({ ...everywhere, ruleSelector: { matchLabels: { release: "other" } } }),
      false,
    ],
    [
      "of a namespace with a label",
      prometheus({ ...everywhere, ruleNamespaceSelector: { matchLabels: { team: "llm" } } }),
      true,
    ],
    [
      "not of another namespace",
      prometheus({ ...everywhere, ruleNamespaceSelector: { matchLabels: { team: "web" } } }),
      false,
    ],
  ])("%s", (_, of, expected) => expect(takesUp(of, rule, { team: "llm" })).toBe(expected));
});
