import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTemplate } from "../../template/parse.ts";
import { type PromptVariable, render } from "./render.ts";

const variable = (name: string, type: PromptVariable["type"], fallback?: unknown): PromptVariable => ({
  name,
  type,
  ...(fallback !== undefined && { default: fallback }),
});

describe("render", () => {
  test("puts values in by type", () => {
    const declared = [
      variable("s", "string"),
      variable("n", "number"),
      variable("b", "boolean"),
      variable("j", "json"),
    ];
    const values = { s: "x", n: 1.5, b: false, j: { a: [1, null] } };
    expect(render(parseTemplate("{{s}} {{n}} {{b}} {{j}}"), values, declared)).toBe(
      'x 1.5 false {"a":[1,null]}',
    );
  });

  test("a value is never expanded again", () => {
    const values = { a: "{{b}}", b: "secret" };
    expect(render(parseTemplate("{{a}}"), values)).toBe("{{b}}");
  });

  test("uses a default, also a false one, and reports what is missing with its place", () => {
    expect(render(parseTemplate("{{b}}"), {}, [variable("b", "boolean", false)])).toBe("false");
    expect(() => render(parseTemplate("a\n{{b}}", "m"), {}, [variable("b", "string")])).toThrow(
      expect.objectContaining({
        code: "MissingVariable",
        message: "variable b has no value",
        location: { file: "m", line: 2, column: 1 },
      }),
    );
  });

  test("null is a value for json, and inherited properties are none", () => {
    expect(render(parseTemplate("{{j}}"), { j: null }, [variable("j", "json", 3)])).toBe("null");
    expect(() => render(parseTemplate("{{constructor}}"), {})).toThrow(
      expect.objectContaining({ code: "MissingVariable" }),
    );
  });

  test.each([
    ["string", 1],
    ["string", null],
    ["number", "1,5"],
    ["number", Number.NaN],
    ["number", true],
    ["boolean", 1],
    ["boolean", "yes"],
  ] as const)("a variable of type %s refuses %j", (type, value) => {
    expect(() => render(parseTemplate("{{v}}"), { v: value }, [variable("v", type)])).toThrow(
      expect.objectContaining({ code: "VariableType" }),
    );
  });

  test("numbers and booleans may come as text, as CSV has them", () => {
    const declared = [variable("n", "number"), variable("b", "boolean")];
    expect(render(parseTemplate("{{n}} {{b}}"), { n: "-1.50", b: "true" }, declared)).toBe("-1.50 true");
  });

  test("any text survives escaping and rendering", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (literal, value) => {
        const escaped = literal.replaceAll("{", "(");
        expect(render(parseTemplate(`${escaped}{{v}}${escaped}`), { v: value })).toBe(
          `${escaped}${value}${escaped}`,
        );
      }),
    );
  });
});
