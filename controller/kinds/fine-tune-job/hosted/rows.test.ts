import { expect, test } from "vitest";
import { assertFits, hostedRows } from "./rows.ts";

const rows = (method: "sft" | "dpo", ...lines: unknown[]) =>
  hostedRows("train.jsonl", Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n")), method)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

const user = { role: "user", content: "q" };
const assistant = { role: "assistant", content: "a" };

test("chats stay, prompts become chats, and what else a row has is left out", () => {
  const chat = { messages: [user, assistant] };
  expect(rows("sft", { ...chat, id: 7 }, { prompt: "q", completion: "a" })).toEqual([chat, chat]);
});

test("preferences are a chat with the better and the worse answer", () => {
  const worse = { role: "assistant", content: "b" };
  const pair = { input: { messages: [user] }, preferred_output: [assistant], non_preferred_output: [worse] };
  expect(rows("dpo", { prompt: "q", chosen: "a", rejected: "b" })).toEqual([pair]);
  expect(rows("dpo", { prompt: [user], chosen: [assistant], rejected: [worse] })).toEqual([pair]);
});

test.each([
  ["sft", { messages: [user] }],
  ["sft", { text: "x" }],
  ["sft", { messages: [{ role: "user" }] }],
  ["dpo", { messages: [user, assistant] }],
  ["sft", 7],
] as const)("%s: a row %j is named", (method, row) => {
  const first =
    method === "sft" ? { prompt: "q", completion: "a" } : { prompt: "q", chosen: "a", rejected: "b" };
  expect(() => rows(method, first, row)).toThrow(/train\.jsonl, row 2: method/);
});

test("a file that the provider would not take is refused before it is read", () => {
  expect(() => assertFits("train.jsonl", 512 * 2 ** 20)).not.toThrow();
  expect(() => assertFits("train.jsonl", 512 * 2 ** 20 + 1)).toThrow(/train\.jsonl has 536870913 bytes/);
});

test("no rows, and a line that is no JSON, are told", () => {
  expect(() => hostedRows("t.jsonl", Buffer.from("\n"), "sft")).toThrow("t.jsonl has no rows");
  expect(() => hostedRows("t.jsonl", Buffer.from("{"), "sft")).toThrow("t.jsonl, row 1");
});
