import { z } from "zod";
import { decimal, durationBetween, secretKeyRef, statusBase, suspend, withRules } from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

export const pricing = z
  .strictObject({
    inputPerMillionTokens: decimal.describe("US dollars for a million prompt tokens."),
    outputPerMillionTokens: decimal.describe("US dollars for a million completion tokens."),
  })
  .describe("Without it the cost of a call is unknown and shown as such.");
export type Pricing = z.infer<typeof pricing>;

export const externalEndpoint = z.strictObject({
  baseURL: z
    .string()
    .min(8)
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .describe(
      "Base of an OpenAI-compatible API, e.g. https://api.openai.com/v1. No credentials, query or fragment.",
    ),
  model: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^\p{Z}\p{Cc}]+$/u)
    .describe("The model's name at that endpoint."),
  secretRef: secretKeyRef
    .optional()
    .describe("API key. The Secret's annotation slipway.dev/allowed-hosts must name the endpoint's host."),
  pricing: pricing.optional(),
  timeout: durationBetween("100ms", "1h").default("60s").describe("Longest wait for one answer."),
  maxConcurrency: z.int().min(1).max(1000).default(8).describe("Most calls in flight to this endpoint."),
});

export const modelDeploymentSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    type: z.enum(["External"]).describe("External: a model that somebody else serves."),
    external: externalEndpoint.optional(),
    suspend,
  }),
  {
    rule: "self.type != 'External' || has(self.external)",
    message: "type: External needs the section external with baseURL and model",
    check: (self) => self.type !== "External" || self.external !== undefined,
  },
);
export type ModelDeploymentSpec = z.infer<typeof modelDeploymentSpec>;

export const modelDeploymentStatus = z.strictObject({
  ...statusBase,
  endpoint: z
    .strictObject({ url: z.string().max(2048), model: z.string().max(256) })
    .optional()
    .describe("Where the model answers."),
});
export type ModelDeploymentStatus = z.infer<typeof modelDeploymentStatus>;
export type ModelDeployment = CustomResource<ModelDeploymentSpec, ModelDeploymentStatus>;

export const modelDeploymentKind: KindDefinition = {
  kind: "ModelDeployment",
  plural: "modeldeployments",
  singular: "modeldeployment",
  shortNames: ["mdep"],
  description: "A model that answers requests.",
  spec: modelDeploymentSpec,
  status: modelDeploymentStatus,
  columns: columns(
    { name: "Model", type: "string", jsonPath: ".status.endpoint.model" },
    { name: "URL", type: "string", jsonPath: ".status.endpoint.url", priority: 1 },
  ),
};
