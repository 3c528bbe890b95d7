import { z } from "zod";
import { anyJson, identifier, mapKeys, objectName, statusBase, suspend, withRules } from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

export const promptMessage = z.strictObject({
  role: z.enum(["system", "developer", "user", "assistant"]).describe("Who speaks."),
  content: z
    .string()
    .min(1)
    .max(65536)
    .describe("Text with `{{variable}}` placeholders. `{{{{` writes a literal `{{`."),
});

export const promptVariable = z
  .strictObject({
    name: identifier.describe("The name used in `{{name}}`."),
    type: z
      .enum(["string", "number", "boolean", "json"])
      .default("string")
      .describe("What a case may put in. `json` is any JSON value, written in compact form."),
    default: anyJson
      .optional()
      .describe("Used where a case gives no value. A variable without it is required."),
    description: z.string().max(1024).optional(),
  })
  .describe("A typed variable of the template.");

/** Sampling parameters, named as in the OpenAI API (camelCase). */
export const modelParameters = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().min(0).max(1).optional(),
  maxTokens: z.int().min(1).max(1_000_000).optional().describe("Most tokens that one answer may have."),
  stop: z.array(z.string().min(1).max(256)).max(4).optional().describe("Texts that end the answer."),
  seed: z.int().min(0).max(2_147_483_647).optional(),
  frequencyPenalty: z.number().min(-2).max(2).optional(),
  presencePenalty: z.number().min(-2).max(2).optional(),
});
export type ModelParameters = z.infer<typeof modelParameters>;

export const promptTemplateSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    messages: z
      .array(promptMessage)
      .min(1)
      .max(128)
      .describe("The conversation sent to the model, in order."),
    variables: z.array(promptVariable).max(64).default([]).meta(mapKeys("name")),
    parameters: modelParameters.optional(),
    outputSchema: anyJson
      .optional()
      .describe("JSON Schema (draft-07 or 2020-12) that answers must satisfy; sent as `response_format`."),
    output: z
      .strictObject({
        configMapName: objectName.describe("ConfigMap with the compiled prompt, for applications to mount."),
      })
      .optional(),
    suspend,
  }),
  {
    rule: "self.messages.exists(m, m.role == 'user')",
    message: "messages needs at least one with role: user",
    check: (self) => self.messages.some((m) => m.role === "user"),
  },
);
export type PromptTemplateSpec = z.infer<typeof promptTemplateSpec>;

export const promptTemplateStatus = z.strictObject({
  ...statusBase,
  variables: z.array(z.string().max(128)).max(64).optional().describe("Variables that the messages use."),
  lint: z
    .array(
      z.strictObject({
        rule: z.string().max(64),
        message: z.string().max(1024),
        field: z.string().max(256).optional(),
      }),
    )
    .max(32)
    .optional()
    .describe("Findings that do not stop the prompt from working."),
  configMapName: z.string().max(253).optional(),
});
export type PromptTemplateStatus = z.infer<typeof promptTemplateStatus>;
export type PromptTemplate = CustomResource<PromptTemplateSpec, PromptTemplateStatus>;

export const promptTemplateKind: KindDefinition = {
  kind: "PromptTemplate",
  plural: "prompttemplates",
  singular: "prompttemplate",
  shortNames: ["prompt"],
  description: "A prompt with typed variables, compiled for applications and for evaluation.",
  spec: promptTemplateSpec,
  status: promptTemplateStatus,
  columns: columns({ name: "ConfigMap", type: "string", jsonPath: ".status.configMapName", priority: 1 }),
};
