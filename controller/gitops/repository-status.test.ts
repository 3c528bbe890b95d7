import { describe, expect, it } from "vitest";
import { repositoryStatus } from "../../schemas/repository.ts";
import { type SyncResult, statusErrors, verdictOf } from "./repository-status.ts";

const RESULT: SyncResult = {
  commit: "0123456789".repeat(4),
  branch: "main",
  resources: 3,
  errors: [],
  held: 0,
  conflicts: [],
  refused: new Map(),
  pruneHeld: undefined,
};
const error = {
  location: { file: "a.yaml", line: 3, column: 5, field: "spec.x" },
  message: "unknown field spec.x",
};
const conflict = { key: "PromptTemplate/p", owner: "somebody else" };
const refused = new Map([["EvalSuite/s", "spec.y: wrong"]]);
const budget = { reason: "DeletionBudgetExceeded", message: "30 objects would be deleted" } as const;

describe("verdictOf", () => {
  it.each<[Partial<SyncResult>, string, boolean, string]>([
    [{}, "Synced", false, "3 objects as in main@01234567"],
    [
      { errors: [error, error], held: 2 },
      "InvalidManifests",
      true,
      "a.yaml:3:5: unknown field spec.x (and 1 more); 2 objects are held, at main@01234567",
    ],
    [
      { conflicts: [conflict] },
      "Conflict",
      true,
      "PromptTemplate/p exists and belongs to somebody else: delete it, or rename the one in git",
    ],
    [{ refused }, "ApplyFailed", true, "EvalSuite/s: spec.y: wrong"],
    [{ pruneHeld: budget }, "DeletionBudgetExceeded", true, "30 objects would be deleted"],
    [
      { pruneHeld: { reason: "NotHealthy", message: "waiting for x" } },
      "Synced",
      false,
      "3 objects as in main@01234567; waiting for x",
    ],
    [
      { pruneHeld: { reason: "Incomplete", message: "big.yaml could not be read" } },
      "Synced",
      false,
      "3 objects as in main@01234567; big.yaml could not be read",
    ],
    [
      { pruneHeld: { reason: "Disabled", message: "spec.prune is false" } },
      "Synced",
      false,
      "3 objects as in main@01234567",
    ],
    [
      { errors: [error], conflicts: [conflict], refused, pruneHeld: budget },
      "InvalidManifests",
      true,
      "a.yaml:3:5: unknown field spec.x, at main@01234567",
    ],
    [
      { conflicts: [conflict], refused, pruneHeld: budget },
      "Conflict",
      true,
      "PromptTemplate/p exists and belongs to somebody else: delete it, or rename the one in git",
    ],
  ])("%j", (change, reason, stalled, message) => {
    expect(verdictOf({ ...RESULT, ...change })).toEqual({
      ready: stalled ? "False" : "True",
      stalled,
      reason,
      message,
    });
  });

  it("fits into a condition whatever a file is called", () => {
    const long = { location: { file: "\u{1f600}".repeat(50_000) }, message: "x" };
    const { message } = verdictOf({ ...RESULT, errors: [long] });
    expect(message.length).toBeLessThanOrEqual(2048);
    expect(message.isWellFormed()).toBe(true);
  });
});

describe("statusErrors", () => {
  it("says the place, and leaves out what is not known", () => {
    expect(statusErrors([error, { location: { file: "b" }, message: "m", object: "X/y" }])).toEqual([
      { file: "a.yaml", line: 3, column: 5, field: "spec.x", message: "unknown field spec.x" },
      { file: "b", message: "m" },
    ]);
  });

  it("always fits the schema", () => {
    const huge = "\u{1f600}".repeat(5000);
    const many = Array.from({ length: 50 }, () => ({
      location: { file: `x${huge}`, field: huge },
      message: `y${huge}`,
    }));
    const errors = statusErrors(many);
    expect(errors).toHaveLength(20);
    expect(repositoryStatus.safeParse({ errors }).error).toBeUndefined();
    for (const { file, field, message } of errors) {
      for (const text of [file, field, message]) expect(text?.isWellFormed()).toBe(true);
    }
  });
});
