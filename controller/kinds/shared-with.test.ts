import { describe, expect, test } from "vitest";
import { sharedDependency, sharedKey, sharedObject } from "./shared-with.ts";
import { DATASET } from "./types.ts";

const dataset = (shareWith?: string[]) => ({
  metadata: { namespace: "data" },
  spec: shareWith ? { shareWith } : {},
});
const reasonOf = (answer: ReturnType<typeof sharedObject>) =>
  "missing" in answer ? answer.missing.reason : "found";

describe("an object of another namespace", () => {
  const ref = { name: "rows", namespace: "data" };
  test.each([
    ["shared with the namespace", ["x", "team"], "found"],
    ["shared with all", ["*"], "found"],
    ["shared with others", ["team-a"], "NotShared"],
    ["shared with nobody", undefined, "NotShared"],
  ])("%s", (_, shareWith, reason) => {
    expect(reasonOf(sharedObject("Dataset", ref, "team", dataset(shareWith)))).toBe(reason);
  });

  test("that is not shared is answered like one that does not exist", () => {
    const absent = sharedObject("Dataset", ref, "team", undefined);
    expect(sharedObject("Dataset", ref, "team", dataset(["other"]))).toEqual(absent);
    expect(absent).toMatchObject({
      missing: { message: expect.stringContaining("data/rows is not shared") },
    });
  });
});

test("an object of the same namespace needs no sharing, whether the namespace is written or not", () => {
  for (const ref of [{ name: "rows" }, { name: "rows", namespace: "data" }]) {
    expect(reasonOf(sharedObject("Dataset", ref, "data", dataset()))).toBe("found");
    expect(reasonOf(sharedObject("Dataset", ref, "data", undefined))).toBe("DatasetNotFound");
  }
});

test("keys and dependencies keep objects of two namespaces apart", () => {
  expect([sharedKey({ name: "a" }), sharedKey({ name: "a", namespace: "n" })]).toEqual(["a", "n/a"]);
  expect(sharedDependency(DATASET, { name: "a" })).toEqual({ type: DATASET, name: "a" });
  expect(sharedDependency(DATASET, { name: "a", namespace: "n" })).toEqual({
    type: DATASET,
    name: "a",
    namespace: "n",
  });
});
