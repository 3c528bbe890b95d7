import { describe, expect, test } from "vitest";
import type { Condition } from "../../schemas/common.ts";
import { condition, ready, reconciling, stalled, suspended } from "./conditions.ts";

/** kstatus' rules for a custom resource, from cli-utils' status.go and generic.go, in their order. */
function kstatus(object: {
  generation: number;
  observedGeneration: number;
  conditions: Condition[];
}): string {
  if (object.observedGeneration !== object.generation) return "InProgress";
  const isTrue = (type: string) => object.conditions.some((c) => c.type === type && c.status === "True");
  if (isTrue("Reconciling")) return "InProgress";
  if (isTrue("Stalled")) return "Failed";
  const found = object.conditions.find((c) => c.type === "Ready");
  if (found && found.status !== "True") return "InProgress";
  return "Current";
}

describe("kstatus reads", () => {
  test.each([
    ["ready", ready("Done", "m"), "Current"],
    ["reconciling", reconciling("Waiting", "m"), "InProgress"],
    ["stalled", stalled("Invalid", "m"), "Failed"],
    ["suspended", suspended(), "InProgress"],
    [
      "ready beside a failed verdict",
      [...ready("Done", "m"), condition("Passing", "False", "Failed", "m")],
      "Current",
    ],
  ])("%s", (_, conditions, expected) => {
    expect(kstatus({ generation: 2, observedGeneration: 2, conditions })).toBe(expected);
    expect(kstatus({ generation: 3, observedGeneration: 2, conditions })).toBe("InProgress");
  });
});

test("abnormal conditions are there only while they are True, and types are unique", () => {
  for (const set of [ready("A", ""), reconciling("A", ""), stalled("A", ""), suspended()]) {
    expect(set.filter((c) => c.type !== "Ready").every((c) => c.status === "True")).toBe(true);
    expect(new Set(set.map((c) => c.type)).size).toBe(set.length);
  }
});

test("a message is cut to the API's limit", () => {
  expect(condition("Ready", "False", "Long", "x".repeat(40_000)).message).toHaveLength(32_768);
});
