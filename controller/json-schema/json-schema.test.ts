import { describe, expect, test } from "vitest";
import { compileSchema, schemaProblem } from "./json-schema.ts";

describe("compileSchema", () => {
  test("says what does not fit", () => {
    const check = compileSchema({ type: "object", required: ["a"], properties: { a: { type: "number" } } });
    expect(check({ a: 1 })).toBeUndefined();
    expect(check({ a: "x" })).toBe("answer/a must be number");
  });

  test("knows formats and the 2020-12 keywords", () => {
    expect(compileSchema({ format: "email" })("no")).toContain("email");
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      prefixItems: [{ type: "string" }],
    };
    expect(compileSchema(schema)([1])).toContain("must be string");
  });

  test("a pattern that explodes elsewhere runs in linear time", () => {
    const check = compileSchema({ type: "string", pattern: "^(a+)+$" });
    const started = performance.now();
    expect(check(`${"a".repeat(50_000)}!`)).toContain("pattern");
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test.each([
    ["text", { type: "nothing" }],
    ["a reference elsewhere", { $ref: "https://example.com/schema.json" }],
    ["a list", []],
    ["look-ahead", { pattern: "(?=a)" }],
  ])("refuses %s", (_, schema) => {
    expect(schemaProblem(schema)).toMatch(/JSON Schema/);
  });
});

/** What a call computes at most; how long it takes depends on what else the machine does. */
function quickly<T>(work: () => T, limitMs = 200): T {
  const before = process.threadCpuUsage();
  const result = work();
  expect(process.threadCpuUsage(before).user / 1_000).toBeLessThan(limitMs);
  return result;
}

describe("a schema that is made to cost", () => {
  const named = (count: number, value: (index: number) => unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, value(index)]));
  compileSchema({ type: "string" });

  test.each([60, 140, 190])("a definition of %i properties used as often is compiled once", (count) => {
    const schema = {
      definitions: { a: { properties: named(count, () => ({ type: "string" })) } },
      properties: named(count, () => ({ $ref: "#/definitions/a" })),
    };
    const problem = quickly(() => schemaProblem(schema), 400);
    if (count * count > 10_000) expect(problem).toContain("10000 subschemas");
    else expect(compileSchema(schema)({ p3: { p4: 1 } })).toBe("answer/p3/p4 must be string");
  });

  test.each([2, 3, 33])("a chain that doubles %i times", (length) => {
    const $defs: Record<string, unknown> = { [`d${length}`]: { type: "number" } };
    for (let index = 0; index < length; index++) {
      const next = { $ref: `#/$defs/d${index + 1}` };
      $defs[`d${index}`] = { allOf: [next, next] };
    }
    const schema = { $defs, $ref: "#/$defs/d0" };
    const problem = quickly(() => schemaProblem(schema));
    if (length > 10) expect(problem).toContain("10000 subschemas");
    else expect(compileSchema(schema)("x")).toBe("answer must be number");
  });

  test("one that refers to itself twice is checked for so long and no longer", () => {
    const twice = { properties: { a: { $ref: "#" } } };
    const check = quickly(() => compileSchema({ allOf: [twice, twice] }));
    const nested = (depth: number): unknown => (depth === 0 ? {} : { a: nested(depth - 1) });
    expect(check(nested(8))).toBeUndefined();
    expect(quickly(() => check(nested(40)))).toContain("more than 200000 references");
    expect(check({})).toBeUndefined();
  });

  test("a tree is what it was, however large, and too deep a one is said to be", () => {
    const check = compileSchema({
      type: "object",
      properties: { n: { type: "integer" }, children: { type: "array", items: { $ref: "#" } } },
    });
    expect(check({ n: 1, children: Array.from({ length: 50_000 }, (_, n) => ({ n })) })).toBeUndefined();
    expect(check({ children: [{ n: "x" }] })).toBe("answer/children/0/n must be integer");
    const deep = JSON.parse(`${'{"children":['.repeat(40_000)}${"]}".repeat(40_000)}`);
    expect(check(deep)).toContain("too deep");
  });

  test.each([
    ["objects", { properties: named(2_500, () => ({})) }, "2000 objects"],
    ["depth", Array.from({ length: 60 }).reduce<object>((items) => ({ items }), {}), "nested more than 50"],
    ["references", { properties: named(201, () => ({ $ref: "#" })) }, "200 references"],
    [
      "spellings of a reference",
      {
        $defs: { aaaaaaaa: { properties: named(500, () => ({})) } },
        anyOf: Array.from({ length: 64 }, (_, bits) => {
          const name = [..."aaaaaaaa"].map((letter, at) => ((bits >> at) & 1 ? "%61" : letter)).join("");
          return { $ref: `#/$defs/${name}` };
        }),
      },
      "10000 subschemas to compile",
    ],
    ["a circle", { $defs: { a: { not: { $ref: "#/$defs/a" } } }, $ref: "#/$defs/a" }, "back to itself"],
    ["a reference to no schema", { enum: [{ type: "string" }], $ref: "#/enum/0" }, "names no schema"],
    ["checks that end later", { $async: true, type: "string" }, "$async"],
  ])("too many or bad: %s", (_, schema, message) => {
    expect(quickly(() => schemaProblem(schema))).toContain(message);
  });

  test("properties may be called as keywords are", () => {
    const check = compileSchema({
      properties: { $ref: { type: "string" }, allOf: { $ref: "#/$defs/n" } },
      $defs: { n: { type: "number" } },
    });
    expect(check({ $ref: "x", allOf: 1 })).toBeUndefined();
    expect(check({ allOf: "x" })).toContain("number");
  });
});
