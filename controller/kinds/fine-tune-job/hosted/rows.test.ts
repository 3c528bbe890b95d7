import { expect, test } from "vitest";
import { assertFits, hostedRows } from "./rows.ts";

async function rows(method: "sft" | "dpo", ...lines: unknown[]): Promise<unknown[]> {
  const data = Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n"));
  const made = await hostedRows("train.jsonl", data, method);
  expect(made.at(-1)).toBe(0x0a);
  const text = made.toString().trim().split("\n");
  return text.map((line) => JSON.parse(line) as unknown);
}

const user = { role: "user", content: "q" };
const assistant = { role: "assistant", content: "a" };

test("chats stay, prompts become chats, and what else a row has is left out", async () => {
  const chat = { messages: [user, assistant] };
  expect(await rows("sft", { ...chat, id: 7 }, { prompt: "q", completion: "a" })).toEqual([chat, chat]);
});

test("preferences are a chat with the better and the worse answer", async () => {
  const worse = { role: "assistant", content: "b" };
  const pair = { input: { messages: [user] }, preferred_output: [assistant], non_preferred_output: [worse] };
  expect(await rows("dpo", { prompt: "q", chosen: "a", rejected: "b" })).toEqual([pair]);
  expect(await rows("dpo", { prompt: [user], chosen: [assistant], rejected: [worse] })).toEqual([pair]);
});

test.each([
  ["sft", { messages: [user] }],
  ["sft", { text: "x" }],
  ["sft", { messages: [{ role: "user" }] }],
  ["dpo", { messages: [user, assistant] }],
  ["sft", 7],
] as const)("%s: a row %j is named", async (method, row) => {
  const first =
    method === "sft" ? { prompt: "q", completion: "a" } : { prompt: "q", chosen: "a", rejected: "b" };
  await expect(rows(method, first, row)).rejects.toThrow(/train\.jsonl, row 2: method/);
});

test("a file that the provider would not take is refused before it is read", () => {
  expect(() => assertFits("train.jsonl", 512 * 2 ** 20)).not.toThrow();
  expect(() => assertFits("train.jsonl", 512 * 2 ** 20 + 1)).toThrow(/train\.jsonl has 536870913 bytes/);
});

test("no rows, and a line that is no JSON, are told", async () => {
  await expect(hostedRows("t.jsonl", Buffer.from("\n"), "sft")).rejects.toThrow("t.jsonl has no rows");
  await expect(hostedRows("t.jsonl", Buffer.from("{"), "sft")).rejects.toThrow("t.jsonl, row 1");
});

test("many rows are all there, in order, and others have their turn meanwhile", async () => {
  const many = Array.from({ length: 2_500 }, (_, i) => ({ prompt: `${i}`, completion: "a" }));
  let turns = 0;
  let going = true;
  const turn = () => {
    turns++;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  const made = (await rows("sft", ...many)) as { messages: { content: string }[] }[];
  going = false;
  expect(made.map(({ messages }) => messages[0]?.content)).toEqual(many.map(({ prompt }) => prompt));
  expect(turns).toBeGreaterThan(0);
});
