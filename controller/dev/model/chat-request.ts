import { z } from "zod";
import { ApiError } from "./api-error.ts";
import type { ChatMessage, GenerationRequest } from "./protocol.ts";

/** A small model seldom ends by itself; OpenAI's default is no limit. */
const DEFAULT_MAX_TOKENS = 256;

const textParts = z
  .array(z.object({ type: z.literal("text", "only parts of type text are supported"), text: z.string() }))
  .transform((parts) => parts.map(({ text }) => text).join(""));

const message = z.object({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: z.union([z.string(), textParts], "must be a string or a list of text parts"),
});

const count = z.int().min(1).nullish();
const zero = z.literal(0, "is not supported by this server").nullish();

/**
 * What is read of a request. Fields that would change the answer and are not supported are refused;
 * others (`user`, `metadata`, `store`…) are ignored, as OpenAI's servers may add any.
 */
const chatRequest = z.object({
  model: z.string().min(1),
  messages: z.array(message).min(1).max(2048),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: count,
  max_completion_tokens: count,
  stop: z.union([z.string(), z.array(z.string()).max(4)], "must be a string or up to 4 strings").nullish(),
  seed: z.int().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.literal(1, "only n = 1 is supported").nullish(),
  frequency_penalty: zero,
  presence_penalty: zero,
  logprobs: z.literal(false, "log probabilities are not supported").nullish(),
  logit_bias: z.record(z.string(), z.never("is not supported")).nullish(),
  tools: z.array(z.never("tools are not supported")).nullish(),
  response_format: z
    .object({ type: z.literal("text", "only the response format text is supported") })
    .nullish(),
});

export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly generation: GenerationRequest;
}

/** Reads the body of `POST /v1/chat/completions`. @throws ApiError 400, naming the field at fault */
export function parseChatRequest(body: unknown): ChatRequest {
  const parsed = chatRequest.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = fieldPath(issue?.path ?? []);
    throw new ApiError(400, param === null ? (issue?.message ?? "invalid") : `${param}: ${issue?.message}`, {
      param,
    });
  }
  const { data } = parsed;
  if (data.stream_options && !data.stream) {
    throw new ApiError(400, "stream_options: only allowed when stream is true", { param: "stream_options" });
  }
  return {
    model: data.model,
    stream: data.stream ?? false,
    includeUsage: data.stream_options?.include_usage ?? false,
    generation: {
      messages: data.messages.map(({ role, content }) => ({ role: chatRole(role), content })),
      temperature: data.temperature ?? 1,
      topP: data.top_p ?? 1,
      maxTokens: data.max_completion_tokens ?? data.max_tokens ?? DEFAULT_MAX_TOKENS,
      stop: typeof data.stop === "string" ? [data.stop] : (data.stop ?? []),
      // The runtime takes unsigned 32-bit seeds.
      seed: data.seed == null ? undefined : Math.abs(data.seed) % 2 ** 32,
    },
  };
}

/** `developer` is OpenAI's newer name for instructions; the model's template knows `system`. */
function chatRole(role: z.infer<typeof message>["role"]): ChatMessage["role"] {
  return role === "developer" ? "system" : role;
}

function fieldPath(path: readonly PropertyKey[]): string | null {
  if (path.length === 0) return null;
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}
