import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { SlipwayError } from "../../errors.ts";
import { ApiError } from "./api-error.ts";
import { type ChatRequest, parseChatRequest } from "./chat-request.ts";
import type { ChatModel } from "./model-process.ts";
import type { Finished } from "./protocol.ts";

const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** More requests than this, waiting or running, are told to come back later. */
const MAX_IN_FLIGHT = 512;

export interface ApiOptions {
  /** The model's name in requests and answers. */
  readonly name: string;
  readonly model: ChatModel;
  /** When given, requests need it as bearer token. */
  readonly apiKey?: string | undefined;
  /** Identifies weights and runtime: equal fingerprints give equal answers. */
  readonly fingerprint: string;
}

/**
 * OpenAI's HTTP API over one chat model: `POST /v1/chat/completions`, `GET /v1/models[/{id}]` and
 * `GET /health`. Errors have OpenAI's shape.
 */
export function createApi(options: ApiOptions): Server {
  const created = Math.floor(Date.now() / 1000);
  let inFlight = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/health") {
      const { alive } = options.model;
      return sendJson(response, alive ? 200 : 503, { status: alive ? "ok" : "unavailable" });
    }
    authorize(request, options.apiKey);
    if (pathname === "/v1/models" || pathname.startsWith("/v1/models/")) {
      requireMethod(request, "GET");
      const entry = { id: options.name, object: "model", created, owned_by: "slipway" };
      if (pathname === "/v1/models") return sendJson(response, 200, { object: "list", data: [entry] });
      requireModel(decode(pathname.slice("/v1/models/".length)), options.name);
      return sendJson(response, 200, entry);
    }
    if (pathname === "/v1/chat/completions") {
      requireMethod(request, "POST");
      const chat = parseChatRequest(await readJson(request));
      requireModel(chat.model, options.name);
      if (inFlight >= MAX_IN_FLIGHT) {
        response.setHeader("retry-after", "1");
        throw new ApiError(429, "too many requests are waiting", {
          type: "rate_limit_error",
          code: "queue_full",
        });
      }
      inFlight++;
      try {
        return await complete(options, chat, response);
      } finally {
        inFlight--;
      }
    }
    throw new ApiError(404, `unknown path: ${request.method} ${pathname}`, { code: "unknown_url" });
  }

  return createServer((request, response) => {
    handle(request, response).catch((error: unknown) => fail(response, error));
  });
}

async function complete(options: ApiOptions, chat: ChatRequest, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) gone.abort(new SlipwayError("Cancelled", "the client has gone"));
  });
  const base = {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: options.name,
    system_fingerprint: options.fingerprint,
  };
  if (chat.stream) return stream(options, chat, response, gone.signal, base);
  let content = "";
  const onText = (text: string) => {
    content += text;
  };
  const result = await options.model.generate(chat.generation, onText, gone.signal);
  sendJson(response, 200, {
    ...base,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content, refusal: null },
        logprobs: null,
        finish_reason: result.finishReason,
      },
    ],
    usage: usage(result),
  });
}

/** Server-sent events; the status line waits for the first piece, so that early errors have a status. */
async function stream(
  options: ApiOptions,
  chat: ChatRequest,
  response: ServerResponse,
  signal: AbortSignal,
  base: Record<string, unknown>,
): Promise<void> {
  const send = (choices: unknown[], more: Record<string, unknown> = {}) => {
    const chunk = { ...base, object: "chat.completion.chunk", choices };
    const withUsage = chat.includeUsage ? { ...chunk, usage: null, ...more } : { ...chunk, ...more };
    response.write(`data: ${JSON.stringify(withUsage)}\n\n`);
  };
  const choice = (delta: unknown, finish_reason: string | null) => [
    { index: 0, delta, logprobs: null, finish_reason },
  ];
  const begin = () => {
    if (response.headersSent) return;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
    });
    send(choice({ role: "assistant", content: "" }, null));
  };
  const onText = (content: string) => {
    begin();
    send(choice({ content }, null));
  };
  const result = await options.model.generate(chat.generation, onText, signal);
  begin();
  send(choice({}, result.finishReason));
  if (chat.includeUsage) send([], { usage: usage(result) });
  response.end("data: [DONE]\n\n");
}

function usage({ promptTokens, cachedTokens, completionTokens }: Finished) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

function authorize(request: IncomingMessage, apiKey: string | undefined): void {
  if (apiKey === undefined) return;
  const given = request.headers.authorization ?? "";
  const digest = (text: string) => createHash("sha256").update(text).digest();
  if (!timingSafeEqual(digest(given), digest(`Bearer ${apiKey}`))) {
    throw new ApiError(401, "the API key is missing or wrong", { code: "invalid_api_key" });
  }
}

function requireMethod(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new ApiError(405, `use ${method} here, not ${request.method}`);
}

function requireModel(asked: string, name: string): void {
  if (asked !== name) {
    throw new ApiError(404, `the model "${asked}" does not exist here; use "${name}"`, {
      code: "model_not_found",
      param: "model",
    });
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  // A web page can send text/plain to localhost without asking; JSON it cannot.
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw new ApiError(415, "send the header content-type: application/json");
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new ApiError(413, `the request is larger than ${MAX_BODY_BYTES} bytes`, {
        code: "request_too_large",
      });
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new ApiError(400, `the body is not valid JSON: ${(error as Error).message}`, {
      code: "invalid_json",
    });
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const answer = toApiError(error);
  if (response.headersSent) {
    response.end(`data: ${JSON.stringify(answer)}\n\n`);
    return;
  }
  // What is left of a body that is too large is not read.
  if (answer.status === 413) response.setHeader("connection", "close");
  sendJson(response, answer.status, answer);
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = error instanceof SlipwayError ? error.code : "InternalError";
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ContextLengthExceeded") {
    return new ApiError(400, message, { code: "context_length_exceeded", param: "messages" });
  }
  if (code === "ModelUnavailable") return new ApiError(503, message, { code: "model_unavailable" });
  return new ApiError(500, message, { code: "generation_failed" });
}
