import * as z from "zod";
import { labelName, localRef, mapKeys, withRules } from "./common.ts";
import { GOPHER } from "./gopher.ts";

/** What personal data a step looks for. */
export const PII_KINDS = ["email", "phone", "iban", "card", "ip", "key"] as const;
export type PiiKind = (typeof PII_KINDS)[number];

export const STEP_TYPES = [
  "map",
  "filter",
  "aggregate",
  "quality",
  "normalize",
  "length",
  "language",
  "exactDedup",
  "nearDedup",
  "pii",
  "decontaminate",
  "sample",
] as const;

const share = z.number().min(0).max(1);

const column = z.string().min(1).max(128);
const template = z.string().max(16_384);

const map = z.strictObject({
  sources: z.array(labelName).min(1).max(32).optional().describe("Only rows of these; all unless given."),
  rename: z
    .array(z.strictObject({ from: column, to: column }))
    .min(1)
    .max(64)
    .optional()
    .meta(mapKeys("to"))
    .describe("Columns under another name, as they are."),
  set: z
    .array(z.strictObject({ field: column, template }))
    .min(1)
    .max(64)
    .optional()
    .meta(mapKeys("field"))
    .describe("Columns made of others: {{column}} stands for one's text."),
  messages: z
    .array(z.strictObject({ role: z.enum(["system", "user", "assistant"]), template }))
    .min(1)
    .max(32)
    .optional()
    .describe("The messages of a chat, each a template as in set."),
});

const quality = z.strictObject({
  minMeanWordLength: z.number().min(0).max(100).default(GOPHER.minMeanWordLength),
  maxMeanWordLength: z.number().min(0).max(100).default(GOPHER.maxMeanWordLength),
  maxSymbolShare: share.default(GOPHER.maxSymbolShare).describe("Of # and … to words."),
  minAlphabeticShare: share.default(GOPHER.minAlphabeticShare).describe("Of words that hold a letter."),
  maxBulletLineShare: share.default(GOPHER.maxBulletLineShare).describe("Of lines that begin with a bullet."),
  maxEllipsisLineShare: share
    .default(GOPHER.maxEllipsisLineShare)
    .describe("Of lines that end in an ellipsis."),
  maxDuplicateLineShare: share
    .default(GOPHER.maxDuplicateLineShare)
    .describe("Of lines that stood there before."),
  repetition: z
    .boolean()
    .default(GOPHER.repetition)
    .describe(
      "Drops rows in which one n-gram of 2, 3 or 4 words has more than 20, 18 or 16 % of the characters, or repeated n-grams of 5 to 10 words have more than 15 to 10 %.",
    ),
});

/** Types that mean nothing without their section. */
const NEEDING = ["map", "filter", "aggregate", "length", "language", "decontaminate", "sample"] as const;

/** One step of a Dataset; `type` says which section it reads. */
export const datasetStep = withRules(
  z.strictObject({
    name: labelName.describe("Names the step in counts and reports."),
    type: z
      .enum(STEP_TYPES)
      .describe(
        "normalize: Unicode NFC, no control characters, no blanks at line ends. exactDedup: the first of equal rows stays.",
      ),
    map: map
      .optional()
      .describe(
        "Makes the columns of the format from those that the sources have. Before all steps but map and filter.",
      ),
    filter: z
      .strictObject({
        keep: z
          .string()
          .min(1)
          .max(1024)
          .describe(
            "CEL expression that is true for rows that stay. It knows row (its columns), text (all of its text), words (their number) and source (the source's name); text.re2('…') searches for a regular expression.",
          ),
      })
      .optional(),
    aggregate: z
      .strictObject({
        shares: z
          .array(z.strictObject({ source: labelName, share: z.number().min(0.001).max(1) }))
          .min(1)
          .max(32)
          .meta(mapKeys("source"))
          .describe("Parts of the result that come from each source; of sources that are not named, none."),
        rows: z.int().min(1).max(100_000_000).optional().describe("Most rows of the result."),
      })
      .optional()
      .describe(
        "Mixes sources: as many rows as can be had with these shares and no row twice, drawn evenly.",
      ),
    quality: quality.optional().describe("Drops rows that are no prose. Gopher's bounds unless given."),
    length: z
      .strictObject({
        minWords: z.int().min(0).max(1_000_000).optional(),
        maxWords: z.int().min(1).max(1_000_000).optional(),
      })
      .optional()
      .describe("Drops rows with fewer or more words."),
    language: z
      .strictObject({
        allow: z
          .array(
            z
              .string()
              .length(2)
              .regex(/^[a-z]{2}$/),
          )
          .min(1)
          .max(60)
          .describe("ISO 639-1 codes."),
        minWords: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .describe("Shorter rows stay: their language cannot be told."),
      })
      .optional()
      .describe("Drops rows in other languages."),
    nearDedup: z
      .strictObject({
        threshold: share
          .default(0.7)
          .describe("Least Jaccard similarity of the words' n-grams at which two rows count as one."),
        ngram: z.int().min(1).max(10).default(5),
      })
      .optional()
      .describe("The first of similar rows stays; system messages do not count."),
    pii: z
      .strictObject({
        action: z.enum(["Report", "Redact", "Drop"]).default("Redact"),
        kinds: z
          .array(z.enum(PII_KINDS))
          .min(1)
          .max(6)
          .default([...PII_KINDS]),
      })
      .optional()
      .describe(
        "Personal data and keys. Report counts the rows that hold some, as changed, and leaves them as they are; Redact puts a mark such as [EMAIL] in its place; Drop leaves the row out.",
      ),
    decontaminate: z
      .strictObject({
        against: z
          .array(localRef)
          .min(1)
          .max(16)
          .meta(mapKeys("name"))
          .describe("EvalSuites whose cases must not be trained on."),
        ngram: z
          .int()
          .min(3)
          .max(50)
          .default(8)
          .describe(
            "A row goes when it shares so many words in a row with a case, or holds a shorter case whole.",
          ),
      })
      .optional(),
    sample: z
      .strictObject({
        rows: z.int().min(1).max(100_000_000),
        seed: z.int().min(0).max(2_147_483_647).default(1),
      })
      .optional()
      .describe("Keeps so many rows, drawn evenly."),
  }),
  {
    rule: `!(self.type in [${NEEDING.map((type) => `'${type}'`).join(", ")}]) || ${NEEDING.map((type) => `(self.type == '${type}' && has(self.${type}))`).join(" || ")}`,
    message: `a step of type ${NEEDING.slice(0, -1).join(", ")} or ${NEEDING.at(-1)} needs the section of that name`,
    check: (self) =>
      !(NEEDING as readonly string[]).includes(self.type) || self[self.type as "length"] !== undefined,
  },
);
export type DatasetStep = z.infer<typeof datasetStep>;

/** Names under which a Dataset's status counts what no step of its own does. */
const COUNTED = ["bad-rows", "weights"];

/** Steps in their order. */
export const datasetSteps = withRules(
  z.array(datasetStep).max(32).meta(mapKeys("name")),
  {
    rule: "!self.exists(s, s.type == 'map') || self.all(s, s.type in ['map', 'filter']) || self.map(s, s.type == 'map').lastIndexOf(true) < self.map(s, s.type in ['map', 'filter']).indexOf(false)",
    message: "steps of type map come before all others but filter: they make the rows that those work on",
    check: (self) => {
      const first = self.findIndex(({ type }) => type !== "map" && type !== "filter");
      return first < 0 || self.findLastIndex(({ type }) => type === "map") < first;
    },
  },
  {
    rule: "!self.exists(s, s.name in ['bad-rows', 'weights'])",
    message: "bad-rows and weights are names of Slipway's own counts: call the step something else",
    check: (self) => !self.some(({ name }) => COUNTED.includes(name)),
  },
);
