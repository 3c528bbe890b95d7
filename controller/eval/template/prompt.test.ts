import { expect, test } from "vitest";
import { compilePrompt, renderPrompt } from "./prompt.ts";

const spec = {
  messages: [
    { role: "system" as const, content: "Be {{tone}}." },
    { role: "user" as const, content: "{{question}}" },
  ],
  variables: [
    { name: "tone", type: "string" as const, default: "brief" },
    { name: "question", type: "string" as const },
  ],
};

test("renders every message, compiled or not", () => {
  const expected = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Why?" },
  ];
  expect(renderPrompt(spec, { question: "Why?" })).toEqual(expected);
  expect(renderPrompt(compilePrompt(spec), { question: "Why?" })).toEqual(expected);
});

test("an error names the message", () => {
  expect(() => renderPrompt(spec, {})).toThrow(
    expect.objectContaining({ location: { file: "messages[1].content", line: 1, column: 1 } }),
  );
});
