import * as z from "zod";
import {
  digest,
  localRef,
  mapKeys,
  objectName,
  repositoryPath,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { datasetStep } from "./dataset-steps.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

export const DATASET_FORMATS = ["chat", "completion", "preference", "kto"] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

const partName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

const datasetFile = z.strictObject({
  path: repositoryPath.describe(
    "JSONL, CSV or Parquet file in the Repository, relative to its path; .gz is unpacked.",
  ),
  digest: digest.optional().describe("Content of the file; the loader writes it."),
});

const source = withRules(
  z.strictObject({
    name: partName,
    files: z.array(datasetFile).min(1).max(64).optional().meta(mapKeys("path")),
    datasetRef: localRef.optional().describe("Rows of another Dataset, once it is Ready."),
    split: partName.default("train").describe("Which split of datasetRef."),
    weight: z
      .number()
      .min(0.01)
      .max(1)
      .default(1)
      .describe("Share of the source's rows that is taken, drawn evenly and always the same."),
  }),
  {
    rule: "has(self.files) != has(self.datasetRef)",
    message: "a source needs either files or datasetRef",
    check: (self) => (self.files === undefined) !== (self.datasetRef === undefined),
  },
);
export type DatasetSource = z.infer<typeof source>;

export const datasetGates = z.strictObject({
  minRows: z.int().min(1).max(100_000_000).optional().describe("Least rows of all splits together."),
  maxDropShare: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Largest share of the rows read that the steps may drop."),
  maxPiiRows: z
    .int()
    .min(0)
    .max(100_000_000)
    .optional()
    .describe("Most rows of the result in which personal data or keys are still found."),
});
export type DatasetGates = z.infer<typeof datasetGates>;

const splits = withRules(
  z
    .array(z.strictObject({ name: partName, percent: z.int().min(1).max(100) }))
    .min(1)
    .max(8)
    .meta(mapKeys("name")),
  {
    rule: "self.map(s, s.percent).sum() == 100",
    message: "the percentages of splits must add up to 100",
    check: (self) => self.reduce((sum, { percent }) => sum + percent, 0) === 100,
  },
);

export const datasetSpec = z.strictObject({
  description: z.string().max(1024).optional(),
  license: z.string().max(128).optional().describe("SPDX identifier, shown on the card."),
  format: z
    .enum(DATASET_FORMATS)
    .describe(
      "chat: messages. completion: prompt and completion. preference: prompt, chosen and rejected. kto: prompt, completion and label.",
    ),
  sources: z.array(source).min(1).max(32).meta(mapKeys("name")),
  onBadRow: z
    .enum(["Fail", "Drop"])
    .default("Fail")
    .describe("What a row does that is not of the format: Fail names it, Drop leaves it out and counts it."),
  steps: z.array(datasetStep).max(32).default([]).meta(mapKeys("name")).describe("In this order."),
  splits: splits
    .default([{ name: "train", percent: 100 }])
    .describe("Near-duplicates always fall into the same one."),
  splitSeed: z.int().min(0).max(2_147_483_647).default(1),
  gates: datasetGates
    .optional()
    .describe("Where one does not hold, nothing is published and what was published stays."),
  suspend,
});
export type DatasetSpec = z.infer<typeof datasetSpec>;

const rows = z.int().min(0);

export const datasetStatus = z.strictObject({
  ...statusBase,
  artifact: z
    .strictObject({ digest, rows, bytes: z.int().min(0), revision: z.string().max(64) })
    .optional()
    .describe("What was published last: the manifest's digest, which stands for every byte of it."),
  splits: z
    .array(z.strictObject({ name: objectName, rows }))
    .max(8)
    .optional()
    .meta(mapKeys("name")),
  read: rows.optional().describe("Rows in the sources."),
  steps: z
    .array(z.strictObject({ name: objectName, dropped: rows, changed: rows }))
    .max(33)
    .optional()
    .meta(mapKeys("name"))
    .describe("What each step did; the step bad-rows stands for what was not of the format."),
  piiRows: rows.optional().describe("Rows of the result in which personal data or keys are found."),
  words: rows.optional().describe("Words of the result."),
});
export type DatasetStatus = z.infer<typeof datasetStatus>;
export type Dataset = CustomResource<DatasetSpec, DatasetStatus>;

export const datasetKind: KindDefinition = {
  kind: "Dataset",
  plural: "datasets",
  singular: "dataset",
  shortNames: ["dset"],
  description: "Training rows, prepared step by step and published as a versioned artifact.",
  spec: datasetSpec,
  status: datasetStatus,
  columns: columns(
    { name: "Rows", type: "integer", jsonPath: ".status.artifact.rows" },
    { name: "Artifact", type: "string", jsonPath: ".status.artifact.digest", priority: 1 },
  ),
};
