import { describe, expect, test } from "vitest";
import { lintPrompt } from "./lint.ts";

const user = (content: string) => ({ role: "user" as const, content });
const text = (name: string) => ({ name, type: "string" as const });

describe("lintPrompt", () => {
  test("a good prompt has nothing to report", () => {
    expect(lintPrompt({ messages: [user("Hi {{name}}")], variables: [text("name")] })).toEqual({
      errors: [],
      findings: [],
    });
  });

  test("an undeclared variable is an error at its message, line and column", () => {
    const { errors } = lintPrompt({
      messages: [user("ok"), user("a\n b {{nmae}}")],
      variables: [text("name")],
    });
    expect(errors).toMatchObject([
      {
        rule: "undeclared-variable",
        field: "messages[1].content",
        line: 2,
        column: 4,
        message: expect.stringContaining("nmae"),
      },
    ]);
  });

  test("a syntax error does not hide the next message's error", () => {
    const { errors } = lintPrompt({ messages: [user("{{a"), user("{{b}}")], variables: [] });
    expect(errors.map(({ rule, field }) => [rule, field])).toEqual([
      ["syntax", "messages[0].content"],
      ["undeclared-variable", "messages[1].content"],
    ]);
  });

  test("unused variables, foreign statements and trailing spaces are findings", () => {
    const { errors, findings } = lintPrompt({
      messages: [user("{% if a %}x "), user("b")],
      variables: [text("a")],
    });
    expect(errors).toEqual([]);
    expect(findings.map(({ rule }) => rule)).toEqual(["foreign-syntax", "trailing-space", "unused-variable"]);
  });

  test("declarations are checked: twice, a default of another type, a broken schema", () => {
    const { errors } = lintPrompt({
      messages: [user("{{a}} {{n}}")],
      variables: [text("a"), text("a"), { name: "n", type: "number", default: "many" }],
      outputSchema: { type: "objekt" },
    });
    expect(errors.map(({ rule, field }) => [rule, field])).toEqual([
      ["duplicate-variable", "variables[1]"],
      ["default-type", "variables[2].default"],
      ["output-schema", "outputSchema"],
    ]);
  });
});
