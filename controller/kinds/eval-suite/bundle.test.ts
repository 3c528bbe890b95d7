import { describe, expect, test } from "vitest";
import { type EvalSuite, evalSuiteSpec } from "../../../schemas/eval-suite.ts";
import { promptTemplateSpec } from "../../../schemas/prompt-template.ts";
import { effectContext } from "../../../test/effect-context.ts";
import { SlipwayError } from "../../errors.ts";
import type { SuiteBundle } from "../../eval/bundle.ts";
import { blobDigest } from "../../graph/canonical.ts";
import type { BlobStore } from "../../store/store.ts";
import type { BundleInput, BundleOutput } from "./decide.ts";
import { bundle, storeBundle } from "./index.ts";

function blobStore(): Pick<BlobStore, "put" | "get"> {
  const blobs = new Map<string, Uint8Array>();
  return {
    async put(data) {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      blobs.set(blobDigest(bytes), bytes);
      return blobDigest(bytes);
    },
    async get(digest) {
      const found = blobs.get(digest);
      if (!found) throw new SlipwayError("BlobNotFound", digest);
      return found;
    },
  };
}

const input = (cases: EvalSuite["spec"]["cases"], more: object = {}): BundleInput => ({
  suite: {
    name: "s",
    revision: "1".repeat(64),
    spec: evalSuiteSpec.parse({
      targets: [{ name: "main", promptRef: { name: "p" }, modelRef: { name: "m" } }],
      cases,
      ...more,
    }),
  },
  prompts: {
    p: {
      revision: "2".repeat(64),
      spec: promptTemplateSpec.parse({ messages: [{ role: "user", content: "hi" }] }),
    },
  },
  models: { m: { revision: "3".repeat(64), spec: { type: "External" } } },
});

test("the effect notes what it has stored as its object's", async () => {
  const noted: string[] = [];
  const reports = {
    hasUploadIn: () => true,
    addUpload: async (...note: string[]) => void noted.push(note.join(" ")),
  };
  const effect = bundle({ blobs: blobStore(), reports });
  const inline = input({ inline: [{ id: "c", vars: {} }] });
  const { suite, side } = (await effect(
    inline as never,
    effectContext("Monitor", "m"),
  )) as unknown as BundleOutput;
  expect(noted).toEqual([suite, side].map((digest) => `Monitor/team/m/u1 ${digest}`));
});

describe("storeBundle", () => {
  test("reads the cases of files and of the manifest, and names both sides by content", async () => {
    const blobs = blobStore();
    const digest = await blobs.put('{"id":"a","vars":{"q":"1"}}\n{"id":"b","vars":{"q":"2"}}\n');
    const cases = { files: [{ path: "cases.jsonl", digest }], inline: [{ id: "c", vars: {} }] };
    const first = await storeBundle(input(cases), blobs);
    expect(first.cases).toBe(3);
    const suite = JSON.parse(new TextDecoder().decode(await blobs.get(first.suite))) as SuiteBundle;
    expect(suite.cases.map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
    expect(suite.budget.maxCalls).toBe(20_000);
    expect(await storeBundle(input(cases), blobs)).toEqual(first);
    const repeated = await storeBundle(input(cases, { repeats: 2 }), blobs);
    expect(repeated).toMatchObject({ side: first.side });
    expect(repeated.suite).not.toBe(first.suite);
  });

  test("says where a case file is wrong", async () => {
    const blobs = blobStore();
    const digest = await blobs.put('{"id":"a","vars":{}}\nnot json\n');
    await expect(
      storeBundle(input({ files: [{ path: "cases.jsonl", digest }] }), blobs),
    ).rejects.toMatchObject({
      code: "InvalidCases",
      message: expect.stringMatching(/^cases\.jsonl:2:1: /),
      retryable: false,
    });
  });

  test.each([
    [
      "a file that is not there",
      { files: [{ path: "c.csv", digest: `sha256:${"0".repeat(64)}` }] },
      "BlobNotFound",
    ],
    ["a file without a digest", { files: [{ path: "c.csv" }] }, "Unresolved"],
  ])("%s is an error", async (_, cases, code) => {
    await expect(storeBundle(input(cases), blobStore())).rejects.toMatchObject({ code });
  });
});
