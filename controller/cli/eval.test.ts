import { expect, test } from "vitest";
import type { Verdict } from "../../schemas/eval-run.ts";
import { exitCode } from "./eval.ts";

test.each<[Verdict[], number]>([
  [["Pass"], 0],
  [["Pass", "Pass"], 0],
  [["Pass", "Fail"], 1],
  [["Inconclusive", "Pass"], 3],
  [["Inconclusive", "Fail"], 1],
  [["Fail", "Error", "Pass"], 2],
  [["Error", "Inconclusive"], 2],
])("%j ends with %i: the worst of all suites", (verdicts, code) => {
  expect(exitCode(verdicts.map((verdict) => ({ verdict, passed: verdict === "Pass" })))).toBe(code);
});
