import { Ajv, type ValidateFunction } from "ajv";

/**
 * The request body of `POST /chat/completions` as OpenAI's API reference publishes it, as far as Slipway may use it.
 * Unknown members are refused, as the real API refuses them.
 */
const message = {
  type: "object",
  required: ["role", "content"],
  additionalProperties: false,
  properties: {
    role: { enum: ["system", "developer", "user", "assistant"] },
    content: { type: "string" },
  },
};

const request = {
  type: "object",
  required: ["model", "messages"],
  additionalProperties: false,
  properties: {
    model: { type: "string", minLength: 1 },
    messages: { type: "array", minItems: 1, items: message },
    temperature: { type: "number", minimum: 0, maximum: 2 },
    top_p: { type: "number", minimum: 0, maximum: 1 },
    max_tokens: { type: "integer", minimum: 1 },
    max_completion_tokens: { type: "integer", minimum: 1 },
    stop: { type: "array", maxItems: 4, items: { type: "string" } },
    seed: { type: "integer" },
    frequency_penalty: { type: "number", minimum: -2, maximum: 2 },
    presence_penalty: { type: "number", minimum: -2, maximum: 2 },
    stream: { type: "boolean" },
    stream_options: {
      type: "object",
      additionalProperties: false,
      properties: { include_usage: { type: "boolean" } },
    },
    response_format: {
      type: "object",
      required: ["type", "json_schema"],
      additionalProperties: false,
      properties: {
        type: { const: "json_schema" },
        json_schema: {
          type: "object",
          required: ["name"],
          additionalProperties: false,
          properties: {
            name: { type: "string", pattern: "^[a-zA-Z0-9_-]{1,64}$" },
            schema: { type: "object" },
            strict: { type: "boolean" },
          },
        },
      },
    },
  },
};

const ajv = new Ajv();
const validate: ValidateFunction = ajv.compile(request);

/** What is wrong with a request body; undefined when it keeps the contract. */
export function contractProblem(body: unknown): string | undefined {
  return validate(body) ? undefined : ajv.errorsText(validate.errors, { dataVar: "body" });
}
