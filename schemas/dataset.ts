import * as z from "zod";
import {
  anyJson,
  digest,
  durationBetween,
  labelName,
  localRef,
  mapKeys,
  objectName,
  repositoryPath,
  s3Region,
  sharedRef,
  shareWith,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { datasetSteps } from "./dataset-steps.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";
import { podOptions } from "./pod.ts";

export const DATASET_FORMATS = ["chat", "completion", "preference", "kto"] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

const datasetFile = z.strictObject({
  path: repositoryPath.describe(
    "JSONL, CSV or Parquet file in the Repository, relative to its path; .gz is unpacked.",
  ),
  digest: digest.optional().describe("Content of the file; the loader writes it."),
});

const source = withRules(
  z.strictObject({
    name: labelName,
    files: z.array(datasetFile).min(1).max(64).optional().meta(mapKeys("path")),
    url: z
      .string()
      .max(2048)
      .regex(/^(https?|s3|hf):\/\/[!-~]+$/)
      .optional()
      .describe(
        "Outside of the Repository: https://…, s3://bucket/key (or a prefix that ends in /), hf://datasets/organisation/name[@revision][/path]. It is read once for each generation, and again as refresh says.",
      ),
    digest: digest.optional().describe("The only content that the one file of url may have."),
    endpoint: z
      .string()
      .max(2048)
      .regex(/^https?:\/\/[!-"$->A-~]+$/)
      .optional()
      .describe("Base URL of an S3-compatible server for s3://, of a mirror of the Hub for hf://."),
    region: s3Region.optional(),
    secretRef: localRef
      .optional()
      .describe(
        "Secret for url, whose annotation slipway.dev/allowed-hosts names the host. Keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, HF_TOKEN for hf://, token for https://.",
      ),
    datasetRef: sharedRef.optional().describe("Rows of another Dataset, once it is Ready."),
    split: labelName.default("train").describe("Which split of datasetRef."),
    weight: z
      .number()
      .min(0.01)
      .max(1)
      .default(1)
      .describe("Share of the source's rows that is taken, drawn evenly and always the same."),
  }),
  {
    rule: "[has(self.files), has(self.url), has(self.datasetRef)].filter(x, x).size() == 1",
    message: "a source needs one of files, url and datasetRef",
    check: ({ files, url, datasetRef }) =>
      [files, url, datasetRef].filter((each) => each !== undefined).length === 1,
  },
  {
    rule: "has(self.url) || !(has(self.digest) || has(self.endpoint) || has(self.region) || has(self.secretRef))",
    message: "digest, endpoint, region and secretRef go with url",
    check: ({ url, digest: content, endpoint, region, secretRef }) =>
      url !== undefined || (content ?? endpoint ?? region ?? secretRef) === undefined,
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
    .array(z.strictObject({ name: labelName, percent: z.int().min(1).max(100) }))
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
  refresh: durationBetween("1m", "168h")
    .optional()
    .describe(
      "How often the urls are looked at again. Without it: at each change of the spec, and when the annotation slipway.dev/requestedAt asks.",
    ),
  schema: anyJson
    .optional()
    .describe(
      "JSON Schema (draft-07 or 2020-12) of a row with all its columns, after map steps: what does not satisfy it is a bad row. Cells of CSV are text.",
    ),
  onBadRow: z
    .enum(["Fail", "Drop"])
    .default("Fail")
    .describe("What a row does that is not of the format: Fail names it, Drop leaves it out and counts it."),
  steps: datasetSteps.default([]).describe("In this order."),
  splits: splits
    .default([{ name: "train", percent: 100 }])
    .describe("Near-duplicates always fall into the same one."),
  splitSeed: z.int().min(0).max(2_147_483_647).default(1),
  gates: datasetGates
    .optional()
    .describe("Where one does not hold, nothing is published and what was published stays."),
  shareWith: shareWith
    .optional()
    .describe(
      "Namespaces whose Datasets and FineTuneJobs may refer to this one; * for all. None unless given.",
    ),
  pod: podOptions
    .optional()
    .describe("Of the Job that prepares large sources; small ones are prepared in the controller."),
  suspend,
});
export type DatasetSpec = z.infer<typeof datasetSpec>;

const rows = z.int().min(0);

/** What the urls were when they were read. */
const resolution = z.strictObject({
  round: z.int().min(0).describe("How often refresh has looked again."),
  at: z.string().max(64).meta({ format: "date-time" }),
  sources: z
    .array(
      z.strictObject({
        name: labelName,
        resolved: z.string().max(4096).describe("The url with what moves replaced: a commit for a branch."),
        digest: digest.describe("Stands for every file that was read: digest of their paths and digests."),
        files: z.int().min(1),
        bytes: z.int().min(0),
      }),
    )
    .max(32)
    .meta(mapKeys("name")),
});
export type DatasetResolution = z.infer<typeof resolution>;

export const datasetStatus = z.strictObject({
  ...statusBase,
  resolution: resolution.optional().describe("What was read from the urls of the sources."),
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
    .max(34)
    .optional()
    .meta(mapKeys("name"))
    .describe(
      "What each step did; bad-rows stands for what was not of the format, weights for the weights of the sources. A pii step that reports counts the rows that it reports as changed.",
    ),
  piiRows: rows.optional().describe("Rows of the result in which personal data or keys are found."),
  words: rows.optional().describe("Words of the result."),
  progress: z
    .strictObject({ phase: z.string().max(32), percent: z.int().min(0).max(100) })
    .optional()
    .describe("Of the preparation that runs."),
  work: z
    .strictObject({
      input: z.string().max(64).describe("Digest of what is prepared."),
      attempt: z.int().min(1),
      failure: z.strictObject({ reason: z.string().max(128), message: z.string().max(4096) }).optional(),
    })
    .optional()
    .describe("The preparation in a Job, where the sources are large."),
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
    { name: "Progress", type: "integer", jsonPath: ".status.progress.percent" },
    { name: "Artifact", type: "string", jsonPath: ".status.artifact.digest", priority: 1 },
  ),
};
