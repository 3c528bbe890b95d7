import * as z from "zod";
import { decimal, localRef, secretKeyRef, withRules } from "./common.ts";

/** LoRA: low-rank matrices beside frozen weights (Hu et al. 2021, arXiv:2106.09685); names as in PEFT's LoraConfig. */
export const loraAdapter = z.strictObject({
  type: z.enum(["lora"]).default("lora"),
  r: z.int().min(1).max(1024).default(8).describe("Rank."),
  alpha: z.number().min(0.001).max(65_536).default(16).describe("Scale: the update counts alpha / r."),
  dropout: z.number().min(0).max(0.99).default(0),
  targetModules: z
    .array(
      z
        .string()
        .min(1)
        .max(128)
        .regex(/^[A-Za-z0-9_.]+$/),
    )
    .min(1)
    .max(32)
    .optional()
    .describe("Layers by the last part of their name; all projections of attention and MLP unless given."),
});

/** What is absent takes the trainer's default (workers/trainer/slipway_trainer/spec.py). */
export const hyperparameters = z.strictObject({
  epochs: z.number().min(0.001).max(10_000).optional().describe("1 unless given."),
  maxSteps: z.int().min(1).max(100_000_000).optional().describe("Overrides epochs."),
  batchSize: z.int().min(1).max(65_536).optional().describe("Rows a step and device; 4 unless given."),
  gradientAccumulation: z.int().min(1).max(65_536).optional(),
  learningRate: z
    .number()
    .min(1e-12)
    .max(1e9)
    .optional()
    .describe("0.0002 unless given; falls linearly to 0."),
  warmup: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Share of the steps in which the learning rate rises."),
  weightDecay: z.number().min(0).max(10).optional(),
  maxGradNorm: z
    .number()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe("Gradients are clipped to it; 1 unless given, 0 for never."),
  maxSequenceLength: z.int().min(8).max(1_048_576).optional().describe("Tokens of a row; 1024 unless given."),
  seed: z.int().min(0).max(4_294_967_295).optional().describe("42 unless given."),
  saveSteps: z
    .int()
    .min(1)
    .max(100_000_000)
    .optional()
    .describe(
      "Steps between checkpoints, from which the next pod goes on. Absent: only when the pod is asked to stop.",
    ),
  beta: z
    .number()
    .min(0.0001)
    .max(100)
    .optional()
    .describe("Of dpo: how far it may leave the base model; 0.1 unless given."),
});

const name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Z}\p{Cc}/:'"`]+$/u);

export const mlflow = withRules(
  z.strictObject({
    trackingUri: z
      .string()
      .min(8)
      .max(2048)
      .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
      .describe("As the pod reaches it."),
    experiment: name,
    registeredModel: name.optional().describe("Registers the artifact as a version of this model."),
    alias: name.optional().describe("Alias that is moved to the version, e.g. candidate."),
    secretRef: localRef
      .optional()
      .describe(
        "Secret with username and password, or token. Its annotation slipway.dev/allowed-hosts must name the server's host.",
      ),
  }),
  {
    rule: "!has(self.alias) || has(self.registeredModel)",
    message: "alias needs registeredModel",
    check: ({ alias, registeredModel }) => alias === undefined || registeredModel !== undefined,
  },
);

/** A provider with OpenAI's fine-tuning API. */
export const hostedTraining = z.strictObject({
  baseURL: z
    .string()
    .min(8)
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .default("https://api.openai.com/v1"),
  secretRef: secretKeyRef.describe(
    "API key. The Secret's annotation slipway.dev/allowed-hosts must name the provider's host.",
  ),
  suffix: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9-]+$/)
    .optional()
    .describe("Part of the trained model's name."),
  learningRateMultiplier: z
    .number()
    .min(0.0001)
    .max(1000)
    .optional()
    .describe("The provider's choice unless given."),
  pricePerMillionTrainedTokens: decimal
    .optional()
    .describe("US dollars. Without it the cost is unknown and shown as such."),
});
export type HostedTraining = z.infer<typeof hostedTraining>;
