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
