import { describe, expect, test } from "vitest";
import { assessmentOf, type PullRequestOptions } from "../../../test/pull-request.ts";
import { REPOSITORY, suite } from "../../../test/support-repository.ts";
import { dataset, rowLines, TRAINING, trainingRows } from "../../../test/training-repository.ts";
import type { DiffDataset } from "../../data/diff/types.ts";
import { SlipwayError } from "../../errors.ts";
import type { OutsideSource } from "../../kinds/dataset/resolution.ts";
import type { Outside } from "./outside.ts";
import { planDiffs } from "./plan.ts";

async function plan(
  head: PullRequestOptions["head"],
  base = TRAINING,
  { trusted = true, outside }: { trusted?: boolean; outside?: Outside } = {},
) {
  const assessment = await assessmentOf({ base, head });
  return planDiffs(assessment.base, assessment.head!, trusted, outside);
}
const decontaminated = (more: object = {}) =>
  dataset({
    spec: {
      steps: [{ name: "unseen", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } }],
      ...more,
    },
  });

describe("compared is", () => {
  test("a Dataset whose files, steps or gates change, with both sides' files", async () => {
    const [files, ...others] = await plan({ "tickets.jsonl": rowLines(trainingRows(3)) });
    expect(others).toEqual([]);
    expect(files).toMatchObject({ state: "Planned", dataset: "tickets" });
    const text = (side: readonly DiffDataset[] | undefined) => {
      const [source] = side?.[0]?.sources ?? [];
      const file = source && "files" in source ? source.files[0] : undefined;
      return new TextDecoder().decode(file && "data" in file ? file.data : undefined);
    };
    if (files?.state !== "Planned") throw new Error("not planned");
    expect(text(files.input.base)).toBe(TRAINING["tickets.jsonl"]);
    expect(text(files.input.head)).toBe(rowLines(trainingRows(3)));
    expect(await plan({ "dataset.yaml": dataset({ spec: { steps: [] } }) })).toHaveLength(1);
    expect(await plan({ "dataset.yaml": dataset({ spec: { gates: { minRows: 5 } } }) })).toHaveLength(1);
  });

  test("a new one, without a base; none that is removed", async () => {
    const [made] = await plan({ "more.yaml": dataset({ name: "more" }) });
    expect(made).toMatchObject({ dataset: "more", input: { base: undefined } });
    expect(await plan({ "dataset.yaml": undefined })).toEqual([]);
  });

  test("one whose upstream changes, with the upstream", async () => {
    const refined = dataset({
      name: "refined",
      spec: { sources: [{ name: "a", datasetRef: { name: "tickets" } }] },
    });
    const plans = await plan(
      { "tickets.jsonl": rowLines(trainingRows(3)) },
      { ...TRAINING, "refined.yaml": refined },
    );
    expect(plans.map(({ dataset: name }) => name).sort()).toEqual(["refined", "tickets"]);
    const found = plans.find(({ dataset: name }) => name === "refined");
    expect(found).toMatchObject({ input: { head: [{ name: "tickets" }, { name: "refined" }] } });
  });

  test("one that is decontaminated against cases that change", async () => {
    const base = { ...TRAINING, "dataset.yaml": decontaminated() };
    expect(await plan({ "suite.yaml": suite({ cases: 121 }) }, base)).toMatchObject([{ dataset: "tickets" }]);
  });

  test("nothing where only descriptions, other objects or the suite's gates change", async () => {
    const base = { ...TRAINING, "dataset.yaml": decontaminated() };
    expect(await plan({ "dataset.yaml": decontaminated({ description: "more" }) }, base)).toEqual([]);
    expect(
      await plan({ "suite.yaml": suite({ gates: [{ name: "g", metric: "pass-rate", min: 0.5 }] }) }, base),
    ).toEqual([]);
    expect(await plan({ "prompt.yaml": undefined, "suite.yaml": undefined }, TRAINING)).toEqual([]);
  });
});

describe("the digest", () => {
  const digestOf = async (head: PullRequestOptions["head"], base = TRAINING) => {
    const [found] = await plan(head, base);
    if (found?.state !== "Planned") throw new Error("not planned");
    return found.digest;
  };

  test("is the same for the same rows, steps and cases, whatever else changes", async () => {
    const head = { "tickets.jsonl": rowLines(trainingRows(3)) };
    expect(await digestOf({ ...head, "prompt.yaml": undefined, "model.yaml": undefined })).toBe(
      await digestOf(head),
    );
  });

  test("differs with either side's rows, steps, or the cases that rows may leak", async () => {
    const head = { "tickets.jsonl": rowLines(trainingRows(3)) };
    const digests = [
      await digestOf(head),
      await digestOf({ "tickets.jsonl": rowLines(trainingRows(4)) }),
      await digestOf(head, { ...TRAINING, "tickets.jsonl": rowLines(trainingRows(5)) }),
      await digestOf({ ...head, "dataset.yaml": dataset({ spec: { steps: [] } }) }),
      await digestOf({ ...head, "suite.yaml": suite({ cases: 121 }) }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe("cases that leak", () => {
  test("are those of the merge result, and what the pull request takes away", async () => {
    const [found] = await plan({
      "tickets.jsonl": rowLines(trainingRows(3)),
      "suite.yaml": suite({ cases: 4 }),
    });
    if (found?.state !== "Planned") throw new Error("not planned");
    const ids = found.input.cases.map(({ id }) => id);
    expect(ids).toContain("t001");
    expect(ids).toContain("t120");
    expect(new Set(ids).size).toBe(120);
  });
});

describe("not compared is", () => {
  test("anything of a fork, or more than ten", async () => {
    const head = { "tickets.jsonl": rowLines(trainingRows(3)) };
    expect(await plan(head, TRAINING, { trusted: false })).toMatchObject([
      { state: "NotCompared", reason: "Fork" },
    ]);
    const many = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`d${i}.yaml`, dataset({ name: `d${i}` })]),
    );
    const reasons = (await plan(many)).map((each) => (each.state === "NotCompared" ? each.reason : ""));
    expect(reasons.filter((reason) => reason === "TooMany")).toHaveLength(2);
  });

  test("what is made from itself, or from what is not in the repository", async () => {
    const from = (name: string, other: string) =>
      dataset({ name, spec: { sources: [{ name: "a", datasetRef: { name: other } }] } });
    expect(await plan({ "a.yaml": from("a", "b"), "b.yaml": from("b", "a") })).toMatchObject([
      { state: "NotCompared", reason: "Cycle" },
      { state: "NotCompared", reason: "Cycle" },
    ]);
    const elsewhere = dataset({
      name: "b",
      spec: { sources: [{ name: "a", datasetRef: { name: "rows", namespace: "data" } }] },
    });
    expect(await plan({ "b.yaml": elsewhere })).toMatchObject([
      { reason: "OtherRepository", message: expect.stringContaining("Dataset data/rows") },
    ]);
    const url = dataset({
      name: "c",
      spec: { sources: [{ name: "web", url: "https://example.com/a.jsonl" }] },
    });
    expect(await plan({ "c.yaml": url })).toMatchObject([
      { reason: "Outside", message: expect.stringContaining("source web of Dataset c") },
    ]);
    expect(await plan({ "a.yaml": from("a", "other") })).toMatchObject([
      { reason: "OtherRepository", message: expect.stringContaining("Dataset other") },
    ]);
  });
});

describe("what lies outside of git", () => {
  const WEB = { name: "web", url: "https://example.com/a.jsonl" };
  const SECRET = { secretRef: { name: "token" } };
  const steps = [{ name: "clean", type: "normalize" }];
  const web = (source: object = {}, spec: object = {}) =>
    dataset({ name: "web", spec: { sources: [{ ...WEB, ...source }], steps: [], ...spec } });
  const from = (name: string) =>
    dataset({ name: "refined", spec: { sources: [{ name: "a", datasetRef: { name } }], steps: [] } });
  const reading = (source: OutsideSource = WEB, { digest = "sha256:a", bytes = 9 } = {}): Outside => ({
    read: (name) => (name === "web" ? [{ source, files: [{ path: "a.jsonl", digest, bytes }] }] : []),
    locate: async (each) => `/blobs/${each}`,
  });
  const base = { ...REPOSITORY, "web.yaml": web() };
  const changed = { "web.yaml": web({}, { steps }) };

  test("is compared as it was read before, by its digest, where other things change", async () => {
    const [found] = await plan(changed, base, { outside: reading() });
    const files = [{ path: "a.jsonl", file: "/blobs/sha256:a", digest: "sha256:a" }];
    const side = [{ name: "web", sources: [{ name: "web", files: [expect.objectContaining(files[0]!)] }] }];
    expect(found).toMatchObject({ state: "Planned", input: { base: side, head: side, confidential: false } });
    const renamed = await plan({ "web.yaml": web({ name: "site" }) }, base, { outside: reading() });
    expect(renamed).toMatchObject([{ state: "Planned" }]);
  });

  test("is compared anew when something else was read", async () => {
    const digestOf = async (outside: Outside) => {
      const [found] = await plan(changed, base, { outside });
      return found?.state === "Planned" ? found.digest : undefined;
    };
    const first = await digestOf(reading());
    expect(first).toBeDefined();
    expect(await digestOf(reading())).toBe(first);
    expect(await digestOf(reading(WEB, { digest: "sha256:b" }))).not.toBe(first);
    expect(await digestOf(reading({ ...WEB, ...SECRET }))).not.toBe(first);
  });

  test.each<[string, object, object]>([
    ["url", {}, { url: "https://example.com/b.jsonl" }],
    ["endpoint", { url: "s3://a/b" }, { url: "s3://a/b", endpoint: "https://thief.example.com" }],
    ["region", { url: "s3://a/b" }, { url: "s3://a/b", region: "eu-1" }],
    ["digest", {}, { digest: `sha256:${"0".repeat(64)}` }],
  ])("is not compared where the pull request changes its %s", async (_, before, after) => {
    const files = { ...REPOSITORY, "web.yaml": web(before) };
    // Even if it was read meanwhile: only the base says what may be looked at.
    for (const source of [before, after]) {
      const outside = reading({ ...WEB, ...source });
      const plans = await plan({ "web.yaml": web(after, { steps }) }, files, { outside });
      expect(plans).toMatchObject([{ state: "NotCompared", reason: "Outside" }]);
    }
  });

  test("is not compared where the base does not have it, it was not read, or lies in a lost blob", async () => {
    const says = (message: string) => [
      { state: "NotCompared", reason: "Outside", message: expect.stringContaining(message) },
    ];
    const outside = reading();
    expect(await plan({ "web.yaml": web() }, TRAINING, { outside })).toMatchObject(
      says("source web of Dataset web lies outside of git where the base does not read it"),
    );
    const more = { "more.yaml": dataset({ name: "more", spec: { sources: [WEB] } }) };
    expect(await plan(more, base, { outside })).toMatchObject(says("where the base does not read it"));
    const elsewhere = reading({ ...WEB, url: "https://example.com/former.jsonl" });
    expect(await plan(changed, base, { outside: elsewhere })).toMatchObject(says("has not been read yet"));
    const lost = {
      ...outside,
      locate: () => Promise.reject(new SlipwayError("BlobNotFound", "there is no blob")),
    };
    expect(await plan(changed, base, { outside: lost })).toMatchObject(says("has not been read yet"));
    expect(await plan(changed, base)).toMatchObject(says("is read by the controller alone"));
  });

  test("is not compared for a fork, or beyond 128 MiB", async () => {
    expect(await plan(changed, base, { outside: reading(), trusted: false })).toMatchObject([
      { state: "NotCompared", reason: "Fork" },
    ]);
    const outside = reading(WEB, { bytes: 129 << 20 });
    expect(await plan(changed, base, { outside })).toMatchObject([{ reason: "DiffTooLarge" }]);
  });

  test("is confidential once a Secret is named for it, on either side or when it was read", async () => {
    const confidential = async (head: string, before: string, source: OutsideSource = WEB) => {
      const files = { ...REPOSITORY, "web.yaml": before };
      const [found] = await plan({ "web.yaml": head }, files, { outside: reading(source) });
      return found?.state === "Planned" && found.input.confidential;
    };
    expect(await confidential(web({}, { steps }), web())).toBe(false);
    expect(await confidential(web({}, { steps }), web(SECRET))).toBe(true);
    expect(await confidential(web(SECRET, { steps }), web())).toBe(true);
    expect(await confidential(web({}, { steps }), web(), { ...WEB, ...SECRET })).toBe(true);
    const gone = dataset({ name: "web" });
    const rows = { "tickets.jsonl": TRAINING["tickets.jsonl"]! };
    const files = { ...REPOSITORY, ...rows, "web.yaml": web(SECRET) };
    const without = await plan({ "web.yaml": gone }, files, { outside: reading() });
    expect(without).toMatchObject([{ input: { confidential: true } }]);
    const derived = await plan({ "refined.yaml": from("web") }, files, { outside: reading() });
    expect(derived).toMatchObject([{ dataset: "refined", input: { confidential: true } }]);
  });
});
