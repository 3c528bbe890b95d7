import * as z from "zod";
import { localRef, mapKeys, withRules } from "./common.ts";

/** What personal data a step looks for. */
export const PII_KINDS = ["email", "phone", "iban", "card", "ip", "key"] as const;
export type PiiKind = (typeof PII_KINDS)[number];

export const STEP_TYPES = [
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

/** One step of a Dataset; `type` says which section it reads. */
export const datasetStep = withRules(
  z.strictObject({
    name: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
      .describe("Names the step in counts and reports."),
    type: z
      .enum(STEP_TYPES)
      .describe(
        "normalize: Unicode NFC, no control characters, single blanks at line ends. exactDedup: the first of equal rows stays.",
      ),
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
      .describe("Personal data and keys: counted, replaced by a mark such as [EMAIL], or the row dropped."),
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
    rule: "!(self.type in ['length', 'language', 'decontaminate', 'sample']) || (self.type == 'length' && has(self.length)) || (self.type == 'language' && has(self.language)) || (self.type == 'decontaminate' && has(self.decontaminate)) || (self.type == 'sample' && has(self.sample))",
    message: "a step of type length, language, decontaminate or sample needs the section of that name",
    check: (self) =>
      !["length", "language", "decontaminate", "sample"].includes(self.type) ||
      self[self.type as "length"] !== undefined,
  },
);
export type DatasetStep = z.infer<typeof datasetStep>;
