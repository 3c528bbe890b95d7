import { describe, expect, test } from "vitest";
import { assessmentOf, type PullRequestOptions } from "../../../test/pull-request.ts";
import { suite } from "../../../test/support-repository.ts";
import { dataset, rowLines, TRAINING, trainingRows } from "../../../test/training-repository.ts";
import type { DiffDataset } from "../../data/diff/types.ts";
import { planDiffs } from "./plan.ts";

async function plan(head: PullRequestOptions["head"], base = TRAINING, trusted = true) {
  const assessment = await assessmentOf({ base, head });
  return planDiffs(assessment.base, assessment.head!, trusted);
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
      return new TextDecoder().decode(source && "files" in source ? source.files[0]?.data : undefined);
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
    expect(await plan(head, TRAINING, false)).toMatchObject([{ state: "NotCompared", reason: "Fork" }]);
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
