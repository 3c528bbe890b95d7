import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blobDigest, canonicalJson, type Json } from "../../controller/graph/canonical.ts";
import { hostedEffects } from "../../controller/kinds/fine-tune-job/hosted/effects.ts";
import type { CancelInput, SubmitInput } from "../../controller/kinds/fine-tune-job/hosted/inputs.ts";
import type { EffectContext } from "../../controller/runtime/kind.ts";
import { effectContext } from "../effect-context.ts";
import { KEY, OpenAiServer } from "./openai-server.ts";

let server: OpenAiServer;
let key: string;
let hosts: string[];
const blobs = new Map<string, Uint8Array>();
const store = (text: string) => {
  const digest = blobDigest(Buffer.from(text));
  blobs.set(digest, Buffer.from(text));
  return digest;
};

beforeEach(async () => {
  server = await OpenAiServer.start();
  key = KEY;
  hosts = [server.host];
});
afterEach(async () => {
  expect(server.violations).toEqual([]);
  await server.close();
});

const context = (more: Partial<EffectContext> = {}) => effectContext("FineTuneJob", "a", more);

const access = () => ({
  namespace: "team",
  account: "default",
  secretRef: { name: "key", key: "apiKey" },
  baseURL: server.baseURL,
});

function submitInput(more: Partial<SubmitInput["job"]> = {}): SubmitInput {
  const rows = store(`${JSON.stringify({ prompt: "q", completion: "a", chosen: "a", rejected: "b" })}\n`);
  const files = ["test", "train"].map((split) => ({ path: `${split}.jsonl`, digest: rows, bytes: 1 }));
  return {
    access: access(),
    marks: { slipway_work: "w".repeat(64), slipway_object: "uid-1" },
    job: {
      model: "gpt-small",
      method: "sft",
      hyperparameters: { n_epochs: 2 },
      seed: 7,
      suffix: "triage",
      ...more,
    },
    dataset: store(canonicalJson({ version: 1, type: "dataset", files, metadata: {} })),
    split: "train",
    validationSplit: "test",
  };
}

const effects = () =>
  hostedEffects({
    secrets: { read: async () => ({ data: { apiKey: key }, allowedHosts: hosts }) },
    blobs: { get: async (digest) => blobs.get(digest)! },
    settleMs: [1, 1, 1],
  });
const run = (name: string, input: object, more?: Partial<EffectContext>) =>
  effects()[name]!(input as Json, context(more)) as Promise<Record<string, unknown>>;

describe("a hosted training", () => {
  test("uploads its rows and makes one job, as the published document says", async () => {
    expect(await run("submit", submitInput())).toEqual({ id: "ftjob-1", status: "queued" });
    expect(server.files.map(({ filename }) => filename)).toEqual([
      "slipway-wwwwwwwwwwwwwwww-train.jsonl",
      "slipway-wwwwwwwwwwwwwwww-test.jsonl",
    ]);
    expect(server.files[0]?.content).toContain('{"role":"assistant","content":"a"}');
    expect(server.jobs[0]?.body).toMatchObject({
      model: "gpt-small",
      training_file: "file-1",
      validation_file: "file-2",
      seed: 7,
      suffix: "triage",
      method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2 } } },
      metadata: { slipway_work: "w".repeat(64), slipway_object: "uid-1" },
    });
  });

  test("learns preferences by dpo", async () => {
    await run("submit", submitInput({ method: "dpo", hyperparameters: { beta: 0.2 } }));
    expect(server.jobs[0]?.body.method).toEqual({ type: "dpo", dpo: { hyperparameters: { beta: 0.2 } } });
    expect(server.files[0]?.content).toContain("non_preferred_output");
  });

  test("is asked about, paused and resumed", async () => {
    await run("submit", submitInput());
    Object.assign(server.jobs[0]!, { status: "succeeded", fine_tuned_model: "ft:1", trained_tokens: 12 });
    const of = { access: access(), id: "ftjob-1" };
    const told = { id: "ftjob-1", status: "succeeded", model: "ft:1", trainedTokens: 12 };
    for (const action of ["poll", "pause", "resume"]) expect(await run(action, of)).toEqual(told);
    expect(server.calls.slice(-3)).toEqual([
      "retrieveFineTuningJob",
      "pauseFineTuningJob",
      "resumeFineTuningJob",
    ]);
  });
});

describe("never two paid jobs", () => {
  test.each(["createFineTuningJob", "createFile", "listPaginatedFineTuningJobs", "listFiles"])(
    "when the answer of %s is lost, or the process dies before it comes",
    async (operation) => {
      server.faults.push({ operation, loseAnswer: true });
      await expect(run("submit", submitInput())).rejects.toMatchObject({
        code: "ProviderUnavailable",
        retryable: true,
      });
      expect(await run("submit", submitInput(), { attempt: 2 })).toMatchObject({ id: "ftjob-1" });
      expect(await run("submit", submitInput(), { recovered: true })).toMatchObject({ id: "ftjob-1" });
      expect(server.jobs).toHaveLength(1);
      expect(server.files).toHaveLength(2);
    },
  );

  test("also when the list does not show the job at once", async () => {
    server.lag = 2;
    server.faults.push({ operation: "createFineTuningJob", loseAnswer: true });
    await expect(run("submit", submitInput())).rejects.toMatchObject({ retryable: true });
    expect(await run("submit", submitInput(), { attempt: 2 })).toMatchObject({ id: "ftjob-1" });
    expect(server.jobs).toHaveLength(1);
  });

  test("when the provider answers 500 after it was made", async () => {
    server.faults.push({ operation: "createFineTuningJob", status: 500 });
    await expect(run("submit", submitInput())).rejects.toMatchObject({
      code: "ProviderUnavailable",
      retryable: true,
    });
    expect(await run("submit", submitInput(), { attempt: 2 })).toMatchObject({ id: "ftjob-1" });
    expect(server.calls.filter((call) => call === "createFineTuningJob")).toHaveLength(2);
    expect(server.jobs).toHaveLength(1);
  });

  test("and one for other work", async () => {
    await run("submit", submitInput());
    const other = { ...submitInput(), marks: { slipway_work: "x".repeat(64), slipway_object: "uid-1" } };
    expect(await run("submit", other)).toMatchObject({ id: "ftjob-2" });
  });
});

test("cancelling ends what is under way of the object, and nothing else", async () => {
  await run("submit", submitInput());
  const other = { ...submitInput(), marks: { slipway_work: "x".repeat(64), slipway_object: "uid-2" } };
  await run("submit", other);
  const input: CancelInput = { access: access(), marks: { slipway_object: "uid-1" } };
  expect(await run("cancel", input)).toEqual({ cancelled: 1 });
  expect(server.jobs.map(({ status }) => status)).toEqual(["cancelled", "queued"]);
  expect(await run("cancel", input)).toEqual({ cancelled: 0 });
  // A cancelled job is none: asked for again, there is another.
  expect(await run("submit", submitInput())).toMatchObject({ id: "ftjob-3" });
});

test.each([
  [401, "ProviderUnauthorized", false],
  [429, "ProviderRateLimited", true],
  [400, "ProviderRejected", false],
  [503, "ProviderUnavailable", true],
])("HTTP %i is %s", async (status, code, retryable) => {
  server.faults.push({ operation: "createFineTuningJob", status });
  await expect(run("submit", submitInput())).rejects.toMatchObject({ code, retryable });
});

test("the key goes to allowed hosts alone, and into no error", async () => {
  hosts = ["api.openai.com"];
  await expect(run("submit", submitInput())).rejects.toMatchObject({ code: "HostNotAllowed" });
  expect(server.calls).toEqual([]);
  hosts = [server.host];
  key = "sk-secret-wrong";
  const error = await run("submit", submitInput()).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: "ProviderUnauthorized" });
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("sk-secret");
});
