import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { evalSuiteSpec } from "../../../../schemas/eval-suite.ts";
import { promptTemplateSpec } from "../../../../schemas/prompt-template.ts";
import { effectContext } from "../../../../test/effect-context.ts";
import { canonicalJson } from "../../../graph/canonical.ts";
import { openStateStore } from "../../../store/open.ts";
import type { StateStore } from "../../../store/store.ts";
import type { Candidate, VerifyInput } from "../effect-inputs.ts";
import { type EffectDependencies, verify } from "../effects.ts";
import { layOut } from "./lay-out.ts";
import type { LaidOut } from "./request.ts";

const OWN = "FineTuneJob/team/a/u1";
const context = effectContext("FineTuneJob", "a");

let dir: string;
let state: StateStore;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-select-"));
  state = await openStateStore(dir);
});
afterEach(async () => {
  await state.close();
  await rm(dir, { recursive: true });
});

const CASES = [
  { id: "a", vars: { ticket: "bill" }, expected: "billing" },
  { id: "b", vars: { ticket: "parcel" }, expected: "delivery" },
];

function laidOut({ suite = {}, prompt = {} }: { suite?: object; prompt?: object } = {}): Promise<LaidOut> {
  const input = {
    suite: {
      name: "choose",
      revision: "r".repeat(64),
      spec: evalSuiteSpec.parse({
        targets: [{ name: "t", promptRef: { name: "ask" }, modelRef: { name: "served" } }],
        cases: { inline: CASES },
        assert: [{ type: "equals", value: "{{expected}}" }],
        ...suite,
      }),
    },
    prompt: promptTemplateSpec.parse({
      messages: [{ role: "user", content: "Team for: {{ticket}}" }],
      parameters: { maxTokens: 4, stop: ["\n"] },
      ...prompt,
    }),
  };
  return layOut(state)(input as never, context) as unknown as Promise<LaidOut>;
}

const text = async (digest: string) => new TextDecoder().decode(await state.blobs.get(digest));

describe("a suite", () => {
  test("is laid out as questions for the pod, without the right answers", async () => {
    const { questions, suite, ...parameters } = await laidOut();
    expect(parameters).toEqual({ maxTokens: 4, stop: ["\n"] });
    const lines = (await text(questions)).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { id: "a", messages: [{ role: "user", content: "Team for: bill" }] },
      { id: "b", messages: [{ role: "user", content: "Team for: parcel" }] },
    ]);
    expect(JSON.parse(await text(suite)).cases).toEqual(CASES);
    expect(await laidOut()).toEqual({ questions, suite, ...parameters });
  });

  test.each([
    [{ suite: { judge: { modelRef: { name: "j" } } } }, "UnsupportedGrader", "has a judge"],
    [
      { suite: { judge: { modelRef: { name: "j" } }, assert: [{ type: "not-llm-rubric", value: "v" }] } },
      "UnsupportedGrader",
      "the grader not-llm-rubric",
    ],
    [
      { suite: { cases: { inline: [{ id: "a", assert: [{ type: "latency", threshold: 9 }] }] } } },
      "UnsupportedGrader",
      "the grader latency",
    ],
    [{ suite: { assert: [{ type: "regex", value: "(" }] } }, "InvalidSuite", "case a: "],
    [{ prompt: { messages: [{ role: "user", content: "{{other}}" }] } }, "InvalidCases", "case a: "],
    [
      { suite: { cases: { files: [{ path: "a.jsonl", digest: `sha256:${"0".repeat(64)}` }] } } },
      "Unresolved",
      "",
    ],
  ])("that cannot choose is refused before anything is trained: %j", async (of, code, told) => {
    await expect(laidOut(of)).rejects.toMatchObject({ code, message: expect.stringContaining(told) });
  });
});

describe("a choice", () => {
  const store = async (content: string, by = OWN) => {
    const digest = await state.blobs.put(content);
    await state.reports.addUpload(by, digest);
    return digest;
  };
  const artifact = async (weights: string) => {
    const file = { path: "w", digest: await store(weights), bytes: 1 };
    return store(canonicalJson({ version: 1, type: "adapter", files: [file], metadata: {} }));
  };
  const candidate = async (step: number, answers: object): Promise<Candidate> => ({
    step,
    digest: await artifact(`weights ${step}`),
    answers: await store(canonicalJson({ answers })),
  });
  const check = (suite: string, digest: string, candidates: readonly Candidate[]) =>
    verify(state as unknown as EffectDependencies)(
      {
        digest,
        type: "adapter",
        known: false,
        choice: { suite, candidates },
      } satisfies VerifyInput as never,
      context,
    );

  test("is checked by grading every answer again: more cases passed, then the better score, then fewer steps", async () => {
    const assert = [
      { type: "icontains", value: "{{expected}}" },
      { type: "equals", value: "{{expected}}", weight: 1 },
      { type: "levenshtein", value: "{{expected}}", threshold: 1 },
    ];
    const { suite } = await laidOut({ suite: { assert } });
    const none = await candidate(5, { a: "no", b: "no" });
    const near = await candidate(10, { a: "Billing", b: "no" });
    const one = await candidate(15, { a: "billing", b: "no" });
    const same = await candidate(20, { a: "no", b: "delivery" });
    const all = [same, near, none, one];
    expect(await check(suite, one.digest, all)).toEqual({
      files: 1,
      checkpoints: [
        { step: 5, digest: none.digest, passRate: 0, score: 0 },
        { step: 10, digest: near.digest, passRate: 0, score: 1 / 3 },
        { step: 15, digest: one.digest, passRate: 0.5, score: 0.5 },
        { step: 20, digest: same.digest, passRate: 0.5, score: 0.5 },
      ],
    });
    await expect(check(suite, same.digest, all)).rejects.toMatchObject({
      code: "ArtifactInvalid",
      message: expect.stringContaining(`the checkpoint of step 15 (${one.digest}) is better`),
    });
    expect(await check(suite, near.digest, [none, near])).toMatchObject({ files: 1 });
    await expect(check(suite, one.digest, [])).rejects.toMatchObject({ code: "ArtifactInvalid" });
  });

  test("an answer that breaks the prompt's own schema fails, as it does everywhere", async () => {
    const schema = { type: "object", required: ["team"] };
    const { suite } = await laidOut({ suite: { assert: [] }, prompt: { outputSchema: schema } });
    const bad = await candidate(5, { a: "{}", b: '{"team": "x"}' });
    expect(await check(suite, bad.digest, [bad])).toMatchObject({ checkpoints: [{ passRate: 0.5 }] });
  });

  test("counts no answers that are missing, malformed or somebody else's", async () => {
    const { suite } = await laidOut();
    const part = await candidate(5, { a: "billing" });
    const refused = (of: Candidate) => check(suite, of.digest, [of]);
    await expect(refused(part)).rejects.toMatchObject({
      code: "AnswersInvalid",
      message: `${part.answers} has no answer to case b`,
    });
    await expect(refused({ ...part, answers: await store("{}") })).rejects.toMatchObject({
      code: "AnswersInvalid",
    });
    const foreign = await store("other", "FineTuneJob/team-b/a/u2");
    await expect(refused({ ...part, answers: foreign })).rejects.toMatchObject({ code: "ArtifactInvalid" });
  });
});
