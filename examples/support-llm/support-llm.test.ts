import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { folderSource } from "../../controller/gitops/folder.ts";
import { loadSnapshot } from "../../controller/gitops/snapshot.ts";
import { type EvalCase, evalCase } from "../../schemas/eval-suite.ts";
import { type ChatRow, makeRows, SYSTEM, toJsonLines } from "../../test/train/rows.ts";

const here = import.meta.dirname;
const read = (path: string) => readFileSync(join(here, path), "utf8");
const lines = <T>(path: string, of: (value: unknown) => T): T[] =>
  read(path)
    .trimEnd()
    .split("\n")
    .map((line) => of(JSON.parse(line)));

const words = (text: string) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
const WINDOW = 8;

/** Every run of eight words, or the whole of a shorter text. */
function runs(text: string): string[] {
  const all = words(text);
  if (all.length <= WINDOW) return [all.join(" ")];
  return all.slice(WINDOW - 1).map((_, i) => all.slice(i, i + WINDOW).join(" "));
}

test("the manifests are valid, and each refers to what is there", async () => {
  const { errors, warnings, graph } = await loadSnapshot(folderSource(here), "");
  expect([errors, warnings]).toEqual([[], []]);
  expect([...graph.nodes.keys()].sort()).toEqual([
    "Dataset/tickets",
    "EvalSuite/topic",
    "FineTuneJob/topic",
    "ModelDeployment/topic",
    "Monitor/topic",
    "PromptTemplate/topic",
  ]);
  expect([...graph.nodes.values()].every(({ revision }) => revision !== undefined)).toBe(true);
});

test("the rows are those that the generator makes", () => {
  expect(read("data/train.jsonl")).toBe(toJsonLines(makeRows(110)));
});

test("the prompt asks with the words of the rows", () => {
  const { messages } = (parse(read("prompt.yaml")) as { spec: { messages: ChatRow["messages"] } }).spec;
  const [row] = lines("data/train.jsonl", (value) => value as ChatRow);
  expect(messages[0]).toEqual({ role: "system", content: SYSTEM });
  const [before = "", after = ""] = messages[1]!.content.split("{{ticket}}");
  expect(row!.messages[1]!.content.startsWith(before)).toBe(true);
  expect(row!.messages[1]!.content.endsWith(after)).toBe(true);
});

test("no case, nor eight words in a row of one, is in a training row", () => {
  const cases: EvalCase[] = lines("cases/tickets.jsonl", (value) => evalCase.parse(value));
  expect(cases.length).toBeGreaterThan(100);
  const trained = new Set(
    lines("data/train.jsonl", (value) => value as ChatRow).flatMap(({ messages }) =>
      runs(messages[1]!.content.replace(/^Ticket: |\nTopic:$/g, "")),
    ),
  );
  const learnt = cases.filter(({ vars }) => runs(String(vars.ticket)).some((run) => trained.has(run)));
  expect(learnt.map(({ id }) => id)).toEqual([]);
});

test("the cases are those of the example that asks with examples, so that both can be compared", () => {
  expect(read("cases/tickets.jsonl")).toBe(
    readFileSync(join(here, "..", "support-triage", "cases", "tickets.jsonl"), "utf8"),
  );
});
