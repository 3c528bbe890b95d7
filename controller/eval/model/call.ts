import OpenAI from "openai";
import type { ChatCompletionCreateParams, ChatCompletionMessageParam } from "openai/resources";
import { z } from "zod";
import { deadline } from "../../kube/deadline.ts";
import { errorOfConnection } from "./classify.ts";
import { type Access, sendModelRequest } from "./http.ts";
import {
  type ModelAnswer,
  type ModelEndpoint,
  ModelError,
  type ModelRequest,
  type TokenUsage,
} from "./types.ts";

export interface ModelCall {
  readonly endpoint: ModelEndpoint;
  readonly request: ModelRequest;
  /** From the Secret's annotation. A key is sent nowhere else; without a key, given hosts are enforced as well. */
  readonly allowedHosts?: readonly string[];
  readonly signal?: AbortSignal;
}

const usageShape = z.object({ prompt_tokens: z.number(), completion_tokens: z.number() });
const completion = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
        finish_reason: z.string().nullish(),
      }),
    )
    .min(1),
  usage: usageShape.nullish(),
});
const chunk = z.object({
  choices: z.array(
    z.object({
      delta: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: usageShape.nullish(),
});

/**
 * Asks a model once, without retries.
 * @throws ModelError; the signal's reason when the caller gave up
 */
export async function callModel({
  endpoint,
  request,
  allowedHosts,
  signal,
}: ModelCall): Promise<ModelAnswer> {
  signal?.throwIfAborted();
  using limit = deadline(endpoint.timeoutMs, signal);
  const started = performance.now();
  const access = { apiKey: endpoint.apiKey, allowedHosts };
  try {
    const answer = request.stream
      ? await streamed(endpoint, request, access, limit.signal, started)
      : await whole(endpoint, request, access, limit.signal);
    return { ...answer, latencyMs: since(started) };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (limit.expired) {
      throw new ModelError("ModelTimeout", `no whole answer within ${endpoint.timeoutMs} ms`, {
        retryable: true,
      });
    }
    throw modelErrorOf(error, endpoint.apiKey);
  }
}

/** One JSON document needs no more than a parse: at hundreds of answers a second the SDK's share would show. */
async function whole(
  endpoint: ModelEndpoint,
  request: ModelRequest,
  access: Access,
  signal: AbortSignal,
): Promise<Omit<ModelAnswer, "latencyMs">> {
  const url = `${baseOf(endpoint)}/chat/completions`;
  const body = JSON.stringify(paramsOf(endpoint, request));
  const answer = await sendModelRequest({ url, method: "POST", body, signal }, access);
  const parsed = completion.safeParse(JSON.parse(String(answer.body)));
  if (!parsed.success) throw garbage(parsed.error);
  const [choice] = parsed.data.choices;
  return {
    text: choice!.message.content ?? choice!.message.refusal ?? "",
    finishReason: choice!.finish_reason ?? "unknown",
    ...usageOf(parsed.data.usage),
  };
}

async function streamed(
  endpoint: ModelEndpoint,
  request: ModelRequest,
  access: Access,
  signal: AbortSignal,
  started: number,
): Promise<Omit<ModelAnswer, "latencyMs">> {
  let text = "";
  let finishReason: string | undefined;
  let first: number | undefined;
  let usage: z.infer<typeof usageShape> | null | undefined;
  const stream = await clientFor(endpoint, access, signal).chat.completions.create({
    ...paramsOf(endpoint, request),
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const event of stream) {
    const parsed = chunk.safeParse(event);
    if (!parsed.success) throw garbage(parsed.error);
    const [choice] = parsed.data.choices;
    const piece = choice?.delta?.content ?? choice?.delta?.refusal ?? "";
    if (piece !== "") first ??= since(started);
    text += piece;
    finishReason = choice?.finish_reason ?? finishReason;
    usage = parsed.data.usage ?? usage;
  }
  // A stream that breaks off without a reason looks like a short answer, and must not be taken for one.
  if (finishReason === undefined) {
    throw new ModelError("ModelUnavailable", "the stream ended before the answer did", { retryable: true });
  }
  return { text, finishReason, ...usageOf(usage), ...(first !== undefined && { timeToFirstTokenMs: first }) };
}

/** The SDK reads streams; connections, keys and limits are ours. */
function clientFor(endpoint: ModelEndpoint, access: Access, signal: AbortSignal): OpenAI {
  return new OpenAI({
    baseURL: baseOf(endpoint),
    // Written by `sendModelRequest` alone, like every other header: the SDK also reads some from the environment.
    apiKey: "unused",
    organization: null,
    project: null,
    maxRetries: 0,
    logLevel: "off",
    timeout: endpoint.timeoutMs + 60_000,
    fetch: async (url, init) => {
      const body = typeof init?.body === "string" ? init.body : "";
      const answer = await sendModelRequest(
        { url: String(url), method: "POST", body, stream: true, signal },
        access,
      );
      return new Response(typeof answer.body === "string" ? answer.body : ReadableStream.from(answer.body), {
        status: answer.status,
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
}

function baseOf({ baseURL }: ModelEndpoint): string {
  return baseURL.replace(/\/+$/, "");
}

function paramsOf(
  endpoint: ModelEndpoint,
  { messages, parameters = {}, outputSchema }: ModelRequest,
): ChatCompletionCreateParams {
  // OpenAI's newer models refuse max_tokens; most compatible servers know nothing else.
  const limit =
    URL.parse(endpoint.baseURL)?.hostname === "api.openai.com" ? "max_completion_tokens" : "max_tokens";
  return {
    model: endpoint.model,
    messages: messages as ChatCompletionMessageParam[],
    ...(parameters.temperature !== undefined && { temperature: parameters.temperature }),
    ...(parameters.topP !== undefined && { top_p: parameters.topP }),
    ...(parameters.maxTokens !== undefined && { [limit]: parameters.maxTokens }),
    ...(parameters.stop !== undefined && { stop: parameters.stop }),
    ...(parameters.seed !== undefined && { seed: parameters.seed }),
    ...(parameters.frequencyPenalty !== undefined && { frequency_penalty: parameters.frequencyPenalty }),
    ...(parameters.presencePenalty !== undefined && { presence_penalty: parameters.presencePenalty }),
    ...(outputSchema !== undefined && {
      response_format: {
        type: "json_schema" as const,
        json_schema: { name: "answer", schema: outputSchema as Record<string, unknown> },
      },
    }),
  };
}

function usageOf(usage: z.infer<typeof usageShape> | null | undefined): { usage?: TokenUsage } {
  return usage
    ? { usage: { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens } }
    : {};
}

function garbage(error: z.ZodError): ModelError {
  const [issue] = error.issues;
  const field = issue?.path.join(".") ?? "";
  return new ModelError(
    "ModelGarbage",
    `not a chat completion: ${field === "" ? "" : `${field}: `}${issue?.message}`,
    {
      hint: "baseURL must be an OpenAI-compatible API, usually ending in /v1",
      retryable: true,
    },
  );
}

/** What the SDK wrapped, or what its own error means. */
function modelErrorOf(error: unknown, apiKey: string | undefined): ModelError {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ModelError) return at;
  if (error instanceof SyntaxError) {
    return new ModelError("ModelGarbage", "the answer is not JSON", { retryable: true, cause: error });
  }
  if (
    error instanceof OpenAI.APIError &&
    error.status === undefined &&
    !(error instanceof OpenAI.APIConnectionError)
  ) {
    // The endpoint reported an error inside a stream.
    return new ModelError("ModelUnavailable", "the endpoint reported an error in its stream", {
      retryable: true,
    });
  }
  return errorOfConnection(error, apiKey);
}

function since(started: number): number {
  return Math.round((performance.now() - started) * 1_000) / 1_000;
}
