import { expect, test } from "vitest";
import { isEvaluatedAgain, type ShownObject } from "./cluster-view.ts";

const suite = (lastRun: string | undefined, ready = "True", observedGeneration = 1): ShownObject => ({
  apiVersion: "slipway.dev/v1alpha1",
  kind: "EvalSuite",
  metadata: { name: "triage", generation: 1 },
  spec: {},
  status: {
    observedGeneration,
    ...(lastRun === undefined ? {} : { lastRun }),
    conditions: [{ type: "Ready", status: ready, reason: "Evaluated", message: "" }],
  },
});

test.each([
  ["Ready by another run", suite("triage-new"), true],
  ["still Ready by the run before", suite("triage-old"), false],
  ["Ready, and says of no run", suite(undefined), false],
  ["not Ready", suite("triage-new", "False"), false],
  ["not looked at since it changed", suite("triage-new", "True", 0), false],
])("a suite that is %s", (_, object, expected) => {
  expect(isEvaluatedAgain(object, "triage-old")).toBe(expected);
});
