import { expect, test } from "vitest";
import { datasetSpec } from "../../../schemas/dataset.ts";
import { diffDataset } from "./diff.ts";

const WORD = "canary";
const row = (prompt: string, completion: string) => JSON.stringify({ prompt, completion });
const ROWS = [row("a", WORD), row("b", WORD), row("c", `${WORD} 2`), row("d", `${WORD} 2`)];

function compared(head: readonly string[], spec: object = {}) {
  const side = (lines: readonly string[]) => {
    const parsed = datasetSpec.parse({
      format: "completion",
      sources: [{ name: "bucket", url: "s3://rows/all" }],
      ...spec,
    });
    const files = [{ path: `${WORD}.jsonl`, data: new TextEncoder().encode(lines.join("\n")) }];
    return [{ name: "d", spec: parsed, sources: [{ name: "bucket", files }], cases: new Map() }];
  };
  return diffDataset({ base: side(ROWS), head: side(head), cases: [], confidential: true });
}

test("figures are left, and nothing that rows say or that their files are called", async () => {
  const diff = await compared([...ROWS, row("mia@example.com", WORD)]);
  expect(diff).toMatchObject({
    rows: { same: 4, added: 1 },
    newPii: [{ kind: "email", rows: 1, origins: [] }],
    head: { summary: { rows: 5, lengths: [{ upTo: 2 }, { upTo: 4 }] } },
    confidential: true,
  });
  expect(JSON.stringify(diff)).not.toMatch(/canary|mia/);
});

test("why rows cannot be prepared is said by its code", async () => {
  const diff = await compared([...ROWS, "no JSON", JSON.stringify({ [WORD]: 1 })]);
  expect(diff).toMatchObject({ head: { failure: { code: "BadRows" } }, confidential: true });
  expect(JSON.stringify(diff)).not.toContain(WORD);
});

test("what the spec has wrong is said in words", async () => {
  const steps = [{ name: "f", type: "filter", filter: { keep: "nothing(" } }];
  const diff = await compared(ROWS, { steps });
  expect(diff).toMatchObject({
    head: { failure: { code: "InvalidFilter", message: expect.stringContaining("nothing(") } },
  });
});
