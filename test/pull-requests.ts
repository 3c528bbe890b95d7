import type { PullRequestOptions } from "./pull-request.ts";
import { deployment, jsonl, limited, model, prompt, REPOSITORY, suite } from "./support-repository.ts";
import { careless, dataset, rowLines, TRAINING, training, trainingRows } from "./training-repository.ts";

const bad = [...trainingRows(60), { prompt: "no answer" }, "no JSON"];

const BUCKET = { name: "bucket", url: "s3://tickets/all.jsonl", secretRef: { name: "bucket" } };

/** Pull requests as they happen, by name: their reports are golden files. */
export const PULL_REQUESTS: Readonly<Record<string, PullRequestOptions>> = {
  improved: { base: REPOSITORY, head: { "prompt.yaml": prompt({ skill: 90 }) }, ask: model },
  regressed: {
    base: REPOSITORY,
    head: { "prompt.yaml": prompt({ skill: 58, words: "a friendly sentence" }) },
    ask: model,
  },
  "within-margin": {
    base: { ...REPOSITORY, "suite.yaml": suite({ cases: 600 }), "cases.jsonl": jsonl(600) },
    head: { "prompt.yaml": prompt({ skill: 76, words: "exactly one word" }) },
    ask: model,
  },
  inconclusive: {
    base: { ...REPOSITORY, "suite.yaml": suite({ cases: 24 }), "model.yaml": deployment({ priced: false }) },
    head: { "prompt.yaml": prompt({ skill: 72 }) },
    ask: model,
  },
  data: {
    base: { ...TRAINING, "training.yaml": training("tuned", { epochs: 3, batchSize: 8 }) },
    head: {
      "tickets.jsonl": rowLines(careless),
      "new.yaml": dataset({
        name: "refined",
        spec: {
          sources: [{ name: "all", datasetRef: { name: "tickets" } }],
          steps: [
            { name: "unseen", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } },
          ],
          splits: [
            { name: "train", percent: 80 },
            { name: "test", percent: 20 },
          ],
        },
      }),
    },
  },
  "data-gate": {
    base: { ...TRAINING, "dataset.yaml": dataset({ spec: { gates: { minRows: 50 } } }) },
    head: { "tickets.jsonl": rowLines(trainingRows(40)), "prompt.yaml": prompt({ skill: 90 }) },
    ask: model,
  },
  "data-steps": {
    base: {
      ...TRAINING,
      "tickets.jsonl": rowLines(careless),
      "dataset.yaml": dataset({
        spec: {
          steps: [
            { name: "dedup", type: "exactDedup" },
            { name: "short", type: "length", length: { minWords: 9 } },
          ],
        },
      }),
    },
    head: {
      "dataset.yaml": dataset({
        spec: {
          steps: [
            { name: "clean", type: "normalize" },
            { name: "dedup", type: "exactDedup" },
            { name: "privacy", type: "pii", pii: { action: "Redact" } },
          ],
        },
      }),
    },
  },
  "data-secret": {
    base: { ...REPOSITORY, "dataset.yaml": dataset({ spec: { sources: [BUCKET], steps: [] } }) },
    head: {
      "dataset.yaml": dataset({
        spec: { sources: [BUCKET], steps: [{ name: "short", type: "length", length: { minWords: 9 } }] },
      }),
      "more.yaml": dataset({
        name: "more",
        spec: { sources: [{ name: "all", datasetRef: { name: "tickets" } }] },
      }),
    },
    read: { tickets: rowLines(careless) },
  },
  "data-bad-rows": { base: TRAINING, head: { "tickets.jsonl": rowLines(bad) } },
  "data-fork": { base: TRAINING, head: { "tickets.jsonl": rowLines(careless) }, trusted: false },
  "data-pending": { base: TRAINING, head: { "tickets.jsonl": rowLines(careless) }, comparing: ["tickets"] },
  error: { base: REPOSITORY, head: { "prompt.yaml": prompt({ skill: 90 }) }, ask: limited },
  fork: { base: REPOSITORY, head: { "prompt.yaml": prompt({ skill: 90 }) }, trusted: false },
  invalid: {
    base: REPOSITORY,
    head: {
      "prompt.yaml": prompt({ skill: 90 }).replace("{{ticket}}", "{{tickets}}"),
      "more.yaml": "kind: EvalSuite\nspec: [",
    },
    running: ["triage"],
  },
  pending: {
    base: REPOSITORY,
    head: { "prompt.yaml": prompt({ skill: 90 }) },
    running: ["triage"],
  },
  several: {
    base: {
      ...REPOSITORY,
      "suite.yaml": suite({
        targets: [
          { name: "small", prompt: "triage" },
          { name: "large", prompt: "triage", model: "large" },
        ],
        gates: [
          { name: "right-team", metric: "pass-rate", margin: 0.05, min: 0.7 },
          { name: "speed", metric: "latency", margin: 60, max: 800 },
          { name: "price", metric: "cost", margin: 0.00001 },
        ],
      }),
      "large.yaml": deployment({ name: "large", model: "large-1" }),
      "tone.yaml": suite({ name: "tone", cases: 40 }),
      "untested.yaml": prompt({ skill: 50, name: "untested" }),
      "old.yaml": prompt({ skill: 50, name: "old" }),
    },
    head: {
      "prompt.yaml": prompt({ skill: 58, words: "a friendly sentence" }),
      "untested.yaml": prompt({ skill: 51, name: "untested" }),
      "large.yaml": deployment({ name: "large", model: "large-1", priced: false }),
      "tone.yaml": suite({ name: "tone", cases: 41 }),
      "old.yaml": undefined,
    },
    settings: { requiredSuites: ["triage"] },
    ask: model,
  },
};
