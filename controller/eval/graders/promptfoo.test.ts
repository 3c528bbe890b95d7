import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { type Assertion, assertion } from "../../../schemas/eval-suite.ts";
import { grade } from "./index.ts";

const folder = new URL("../../../test/testdata/promptfoo/", import.meta.url);
const withCases = z.object({ assert: z.array(assertion).default([]) });
const config = z.object({
  defaultTest: withCases.optional(),
  tests: z.array(withCases.extend({ threshold: z.number().optional() })),
});
const expected = z.array(
  z.object({
    testIndex: z.number(),
    output: z.string(),
    pass: z.boolean(),
    score: z.number(),
    perAssertion: z.array(z.object({ type: z.string(), pass: z.boolean(), score: z.number() })),
  }),
);

/** The CSV fixture is read by the test of the case files. */
const fixtures = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "csv-tests")
  .map((entry) => entry.name);

function read(fixture: string, name: string): string | undefined {
  const file = new URL(`${fixture}/${name}`, folder);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

describe("promptfoo's own verdicts", () => {
  test("are there", () => expect(fixtures.length).toBeGreaterThanOrEqual(20));

  test.each(fixtures)("%s", async (fixture) => {
    const { tests, defaultTest } = config.parse(
      parse((read(fixture, "config.yaml") ?? read(fixture, "config.json"))!),
    );
    const results = expected.parse(JSON.parse(read(fixture, "expected.json")!));
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      const own = tests[result.testIndex]!;
      const assertions: Assertion[] = [...(defaultTest?.assert ?? []), ...own.assert];
      // The echo provider costs nothing and answers at once.
      const graded = await grade(assertions, result.output, { vars: {}, latencyMs: 0, cost: 0 });
      expect(graded.results.map(({ type, pass }) => [type, pass])).toEqual(
        result.perAssertion.map(({ type, pass }) => [type, pass]),
      );
      for (const [index, { score }] of result.perAssertion.entries())
        expect(graded.results[index]!.score).toBeCloseTo(score, 9);
      expect(graded.score).toBeCloseTo(result.score, 9);
      // A test's threshold does not exist here: a gate on the metric `score` says the same of all cases.
      if (own.threshold === undefined) expect(graded.pass).toBe(result.pass);
    }
  });
});
