import { describe, expect, test, vi } from "vitest";
import type { Assertion } from "../../../schemas/eval-suite.ts";
import { grade } from "./grade.ts";
import type { GradeContext } from "./types.ts";

const is = (type: Assertion["type"], value?: unknown, rest: Partial<Assertion> = {}): Assertion => ({
  type,
  weight: 1,
  ...(value !== undefined && { value }),
  ...rest,
});
const passes = async (assertion: Assertion, output: string, context: Partial<GradeContext> = {}) =>
  (await grade([assertion], output, { vars: {}, ...context })).pass;

describe("each grader, and its opposite", () => {
  const cases: [Assertion["type"], unknown, string, boolean][] = [
    ["equals", "4", "4", true],
    ["equals", 4, "4", true],
    ["equals", "4", "4 ", false],
    ["equals", { a: [1, 2] }, '{ "a": [1, 2] }', true],
    ["equals", { a: [1, 2] }, '{ "a": [2, 1] }', false],
    ["equals", { a: 1 }, "not json", false],
    ["contains", "World", "Hello World", true],
    ["contains", "world", "Hello World", false],
    ["contains", 42, "it is 42", true],
    ["icontains", "WORLD", "hello world", true],
    ["contains-any", ["x", "ell"], "hello", true],
    ["contains-any", ["x", "y"], "hello", false],
    ["contains-any", 'q,"lo, w"', "hello, world", true],
    ["contains-all", ["h", "o"], "hello", true],
    ["contains-all", "h,x", "hello", false],
    ["icontains-any", ["H"], "hello", true],
    ["icontains-all", "HE,LO", "hello", true],
    ["starts-with", "he", "hello", true],
    ["starts-with", "e", "hello", false],
    ["ends-with", "lo", "hello", true],
    ["ends-with", "l", "hello", false],
    ["regex", "^h.*o$", "hello", true],
    ["regex", "\\d{2}", "a1b2", false],
    ["is-json", undefined, "[1]", true],
    ["is-json", undefined, "Result: [1]", false],
    ["is-json", { required: ["a"], type: "object" }, '{"b":1}', false],
    ["is-json", "type: object\nrequired: [a]", '{"a":1}', true],
    ["contains-json", undefined, "Result: [1], thanks", true],
    ["contains-json", undefined, "Result: {1}", false],
    ["contains-json", { required: ["a"] }, 'x {"b":1} y {"a":1} z', true],
    ["levenshtein", "kitten", "sitting", true],
    ["levenshtein", "kitten", "completely different", false],
  ];
  test.each(cases)("%s %j on %j", async (type, value, output, pass) => {
    expect(await passes(is(type, value), output)).toBe(pass);
    expect(await passes(is(`not-${type}` as Assertion["type"], value), output)).toBe(!pass);
  });

  test("latency and cost hold their limits", async () => {
    expect(await passes(is("latency", undefined, { threshold: 100 }), "", { latencyMs: 100 })).toBe(true);
    expect(await passes(is("latency", undefined, { threshold: 100 }), "", { latencyMs: 101 })).toBe(false);
    expect(await passes(is("not-latency", undefined, { threshold: 100 }), "", { latencyMs: 101 })).toBe(true);
    expect(await passes(is("cost", undefined, { threshold: 0.01 }), "", { cost: 0.02 })).toBe(false);
  });

  test("levenshtein's threshold counts edits, 0 too", async () => {
    expect(await passes(is("levenshtein", "abc", { threshold: 1 }), "abd")).toBe(true);
    expect(await passes(is("levenshtein", "abc", { threshold: 0 }), "abd")).toBe(false);
  });

  test("a failure says what was expected and what was found", async () => {
    const { results } = await grade([is("contains-all", ["a", "zz"]), is("not-contains", "b")], "abc", {
      vars: {},
    });
    expect(results.map(({ reason }) => reason)).toEqual([
      'expected the answer to contain all of "a, zz": "zz" is missing',
      'expected the answer not to contain "b"',
    ]);
  });
});

describe("values", () => {
  test("use the case's variables and expected", async () => {
    const context = { vars: { city: "Bonn" }, expected: "Rhine" };
    expect(
      await passes(is("contains", "{{city}} lies on the {{expected}}"), "Bonn lies on the Rhine", context),
    ).toBe(true);
    expect(await passes(is("contains-all", ["{{city}}", "{{expected}}"]), "Rhine, Bonn", context)).toBe(true);
  });

  test("a lone placeholder keeps the type of what it names", async () => {
    expect(await passes(is("equals", "{{expected}}"), '{"a":1}', { expected: { a: 1 } })).toBe(true);
    expect(await passes(is("equals", "{{expected}}"), "7", { expected: 7 })).toBe(true);
  });

  test("a schema's braces are its own", async () => {
    expect(await passes(is("is-json", { const: "{{x}}" }), '"{{x}}"')).toBe(true);
  });

  test.each([
    ["no expected", is("equals", "{{expected}}")],
    ["no value", is("contains")],
    ["an empty value", is("starts-with", "")],
    ["a pattern that is none", is("regex", "(")],
    ["look-ahead", is("regex", "(?=a)b")],
    ["a schema that is none", is("is-json", { type: "objekt" })],
    ["an open quote", is("contains-any", '"a,b')],
    ["no limit", is("latency")],
    ["no judge", is("llm-rubric", "polite")],
  ])("%s is the suite's mistake, not a verdict", async (_, assertion) => {
    await expect(passes(assertion, "x", { latencyMs: 1 })).rejects.toMatchObject({
      code: "InvalidAssertion",
    });
  });

  test("an unknown price is no verdict", async () => {
    await expect(passes(is("cost", undefined, { threshold: 1 }), "x")).rejects.toMatchObject({
      code: "UnknownFigure",
    });
  });
});

describe("scores", () => {
  test("are the weighted mean; every assertion of positive weight must pass", async () => {
    const { pass, score } = await grade([is("contains", "a", { weight: 3 }), is("contains", "z")], "abc", {
      vars: {},
    });
    expect([pass, score]).toEqual([false, 0.75]);
  });

  test("no assertions pass with 1", async () => {
    expect(await grade([], "", { vars: {} })).toMatchObject({ pass: true, score: 1 });
  });

  test("weight 0 passes, and still reports why it would not have", async () => {
    const { pass, score, metrics, results } = await grade(
      [is("contains", "a"), is("contains", "z", { weight: 0, metric: "zed" })],
      "abc",
      { vars: {} },
    );
    expect([pass, score, metrics]).toEqual([true, 1, { zed: 0 }]);
    expect(results[1]).toMatchObject({ pass: true, score: 0, reason: expect.stringContaining('"z"') });
  });

  test("metrics are weighted means of their own assertions", async () => {
    const { metrics } = await grade(
      [
        is("contains", "a", { weight: 3, metric: "facts" }),
        is("contains", "z", { weight: 1, metric: "facts" }),
        is("latency", undefined, { weight: 0, metric: "speed" }),
      ],
      "abc",
      { vars: {}, latencyMs: 120 },
    );
    expect(metrics).toEqual({ facts: 0.75, speed: 120 });
  });
});

describe("llm-rubric", () => {
  const judge = (pass: boolean, score: number) => vi.fn(async () => ({ pass, score, reason: "because" }));

  test("asks the judge about the filled-in rubric", async () => {
    const ask = judge(true, 0.8);
    const result = await grade([is("llm-rubric", "names {{city}}")], "Bonn!", {
      vars: { city: "Bonn" },
      judge: ask,
    });
    expect(ask).toHaveBeenCalledWith("names Bonn", "Bonn!");
    expect(result).toMatchObject({ pass: true, score: 0.8 });
  });

  test("turns around with not-, and holds a threshold", async () => {
    const not = await grade([is("not-llm-rubric", "r")], "x", { vars: {}, judge: judge(true, 0.75) });
    expect(not).toMatchObject({ pass: false, score: 0.25 });
    expect(await passes(is("llm-rubric", "r", { threshold: 0.9 }), "x", { judge: judge(true, 0.8) })).toBe(
      false,
    );
  });

  test("a judge that fails gives no verdict", async () => {
    const broken = vi.fn(async () => Promise.reject(new Error("down")));
    await expect(passes(is("llm-rubric", "r"), "x", { judge: broken })).rejects.toThrow("down");
  });
});
