import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { datasetSpec } from "../../schemas/dataset.ts";
import { evalSuiteSpec } from "../../schemas/eval-suite.ts";
import { effectContext } from "../../test/effect-context.ts";
import { rowLines, trainingRows } from "../../test/training-repository.ts";
import type { Json } from "../graph/canonical.ts";
import type { EffectHandler } from "../runtime/kind.ts";
import { openStateStore } from "../store/open.ts";
import type { StateStore } from "../store/store.ts";
import { dataset } from "./dataset/index.ts";
import { bundle } from "./eval-suite/index.ts";

let dir: string;
let state: StateStore;
let rows: string;
let cases: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-files-"));
  state = await openStateStore(dir);
  // What another tenant has brought.
  rows = await state.blobs.put(rowLines(trainingRows(20)));
  cases = await state.blobs.put('{"id":"a","vars":{"q":"1"}}\n');
  for (const digest of [rows, cases]) await state.reports.addUpload("Repository/other/app/u1", digest);
});
afterEach(async () => {
  await state.close();
  await rm(dir, { recursive: true });
});

const run = (effect: EffectHandler, input: object) =>
  effect(JSON.parse(JSON.stringify(input)) as Json, effectContext("Dataset", "rows"));
const refused = (path: string) => ({
  code: "Unresolved",
  message: expect.stringMatching(`^no Repository of this namespace has brought ${path} as sha256:`),
});
const bring = (digest: string) => state.reports.addUpload("Repository/team/app/u2", digest);

test.each(["prepare", "stage"])(
  "the effect %s of a Dataset reads what its namespace has brought",
  async (name) => {
    const effect = dataset({ ...state, url: undefined, above: 0 } as never).effects![name]!;
    const spec = datasetSpec.parse({
      format: "completion",
      sources: [{ name: "file", files: [{ path: "rows.jsonl", digest: rows }] }],
      steps: [{ name: "unseen", type: "decontaminate", decontaminate: { against: [{ name: "s" }] } }],
    });
    const suites = { s: { files: [{ path: "cases.jsonl", digest: cases }] } };
    const input = { name: "rows", spec, artifacts: {}, suites };
    await expect(run(effect, input)).rejects.toMatchObject(refused("rows.jsonl"));
    await bring(rows);
    await expect(run(effect, input)).rejects.toMatchObject(refused("cases.jsonl"));
    await bring(cases);
    expect(await run(effect, input)).toHaveProperty(name === "prepare" ? "artifact" : "manifest");
  },
);

test("a suite is bundled with cases that its namespace has brought, and with its own", async () => {
  const inputWith = (section: object) => ({
    suite: {
      name: "s",
      revision: "1",
      spec: evalSuiteSpec.parse({
        targets: [{ name: "main", promptRef: { name: "p" }, modelRef: { name: "m" } }],
        cases: section,
      }),
    },
    prompts: { p: { revision: "2", spec: { messages: [] } } },
    models: { m: { revision: "3", spec: { type: "External" } } },
  });
  const fromFile = inputWith({ files: [{ path: "cases.jsonl", digest: cases }] });
  await expect(run(bundle(state), fromFile)).rejects.toMatchObject(refused("cases.jsonl"));
  await bring(cases);
  expect(await run(bundle(state), fromFile)).toMatchObject({ cases: 1 });
  expect(await run(bundle(state), inputWith({ inline: [{ id: "a", vars: {} }] }))).toMatchObject({
    cases: 1,
  });
});
