import { describe, expect, test } from "vitest";
import { SlipwayError } from "../errors.ts";
import { parseTemplate, variablesOf } from "./parse.ts";

function fault(text: string): SlipwayError {
  try {
    parseTemplate(text, "prompt.yaml");
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

describe("parseTemplate", () => {
  test("splits text and variables and keeps their places", () => {
    expect(parseTemplate("Hi {{ name }},\n\n  see {{topic.first}}!").parts).toEqual([
      { text: "Hi " },
      { variable: "name", line: 1, column: 4 },
      { text: ",\n\n  see " },
      { variable: "topic.first", line: 3, column: 7 },
      { text: "!" },
    ]);
  });

  test("names each variable once, in order", () => {
    expect(variablesOf(parseTemplate("{{b}}{{a}}{{ b }}"))).toEqual(["b", "a"]);
  });

  test.each([
    ["{{{{name}}", "{{name}}"],
    ["a {{{{ b", "a {{ b"],
    ['{"a": }}', '{"a": }}'],
    ["", ""],
  ])("%j is the literal %j", (text, literal) => {
    expect(parseTemplate(text).parts).toEqual(literal === "" ? [] : [{ text: literal }]);
  });

  test("an escape right before a placeholder", () => {
    expect(parseTemplate("{{{{{{x}}").parts).toEqual([{ text: "{{" }, { variable: "x", line: 1, column: 5 }]);
  });

  test("JSON around a placeholder needs no escape", () => {
    expect(parseTemplate('{"q": {{q}}}').parts).toEqual([
      { text: '{"q": ' },
      { variable: "q", line: 1, column: 7 },
      { text: "}" },
    ]);
  });

  test.each([
    ["x\n {{name", "TemplateUnclosed", 2, 2],
    ["{{a {{b}}", "TemplateUnclosed", 1, 1],
    ["{{ }}", "TemplateEmpty", 1, 1],
    ["{{1a}}", "TemplateBadName", 1, 1],
    ["ok {{a\nb}}", "TemplateUnsupported", 1, 4],
    ["{{#if a}}", "TemplateUnsupported", 1, 1],
    ["{{/if}}", "TemplateUnsupported", 1, 1],
    ["{{> part}}", "TemplateUnsupported", 1, 1],
    ["{{name | upper}}", "TemplateUnsupported", 1, 1],
    ["{{upper name}}", "TemplateUnsupported", 1, 1],
    ["line\nline {{{raw}}}", "TemplateUnsupported", 2, 6],
  ])("refuses %j as %s at %i:%i with a hint", (text, code, line, column) => {
    const error = fault(text);
    expect([error.code, error.location]).toEqual([code, { file: "prompt.yaml", line, column }]);
    expect(error.hint).toMatch(/\w+ .*\w/);
  });
});
