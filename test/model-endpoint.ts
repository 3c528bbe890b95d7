import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { contractProblem } from "./chat-completions-contract.ts";

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly stream?: boolean;
  readonly [member: string]: unknown;
}

/** How the endpoint behaves towards one request. */
export type Mode =
  | "ok"
  /** 429 with Retry-After. */
  | "rate-limited"
  | "error"
  /** 200 with a web page. */
  | "garbage"
  /** 200 with JSON that is no chat completion. */
  | "wrong-shape"
  /** Never answers. */
  | "hang"
  /** More than any client should read. */
  | "huge"
  | "rejected"
  | "unauthorized"
  | "redirect"
  /** Closes the connection. */
  | "reset"
  /** Stops in the middle of a streamed answer. */
  | "cut-stream";

export interface ModelEndpointOptions {
  /** Time to each answer, in ms. */
  readonly latencyMs?: number;
  /** Answers to what is asked meanwhile wait for it. */
  readonly until?: Promise<void>;
  readonly models?: readonly string[] | undefined;
  readonly apiKey?: string;
  /** The mode of each request; always "ok" unless given. `attempt` counts requests with the same body from 1. */
  readonly mode?: Mode | ((request: ChatRequest, attempt: number) => Mode);
  /** The answer's text; derived from a hash of the request unless given. */
  readonly answer?: (request: ChatRequest) => string;
  /** False leaves token usage out. */
  readonly usage?: boolean;
  readonly retryAfter?: string;
  /** False forgets the bodies of requests, for long runs. */
  readonly record?: boolean;
  /** Completions of `base:adapter` as SGLang has them: of these adapters, or, before 0.5.4, of the base for any name. */
  readonly adapters?: readonly string[] | "ignored";
}

export interface ModelEndpointHandle extends AsyncDisposable {
  /** With `/v1`. */
  readonly baseURL: string;
  readonly requests: ChatRequest[];
  readonly headers: IncomingMessage["headers"][];
  /** Chat requests received. */
  readonly count: number;
  /** Greatest number of chat requests in flight at once. */
  readonly peak: number;
  set(options: ModelEndpointOptions): void;
  close(): Promise<void>;
}

/** A model on loopback that keeps the published contract and answers the same request always the same way. */
export async function startModelEndpoint(initial: ModelEndpointOptions = {}): Promise<ModelEndpointHandle> {
  let options = initial;
  const requests: ChatRequest[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const attempts = new Map<string, number>();
  let count = 0;
  let inFlight = 0;
  let peak = 0;

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) json(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  server.keepAliveTimeout = 30_000;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (options.apiKey !== undefined && request.headers.authorization !== `Bearer ${options.apiKey}`) {
      const shown = request.headers.authorization ?? "nothing";
      return json(response, 401, {
        error: { message: `Incorrect API key provided: ${shown}`, type: "invalid_request_error" },
      });
    }
    if (request.url === "/v1/models" && request.method === "GET") {
      if (options.mode === "hang") return;
      if (options.mode === "error") return json(response, 500, { error: { message: "no models today" } });
      if (options.models === undefined) return json(response, 404, { error: { message: "not found" } });
      return json(response, 200, {
        object: "list",
        data: options.models.map((id) => ({ id, object: "model" })),
      });
    }
    if (request.url === "/v1/completions" && options.adapters !== undefined) {
      const { model } = JSON.parse(await readBody(request)) as { model: string };
      const adapter = model.slice(model.indexOf(":") + 1);
      if (options.adapters === "ignored" || options.adapters.includes(adapter))
        return json(response, 200, { object: "text_completion", model, choices: [{ index: 0, text: "b" }] });
      const message = `The following requested LoRA adapters are not loaded: ${adapter}`;
      return json(response, 400, { object: "error", message, type: "BadRequestError", code: 400 });
    }
    if (request.url !== "/v1/chat/completions" || request.method !== "POST")
      return json(response, 404, { error: { message: `no ${request.method} ${request.url}` } });
    await chat(await readBody(request), request, response);
  }

  async function chat(text: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(text) as ChatRequest;
    const problem = contractProblem(body);
    if (problem !== undefined) return json(response, 400, { error: { message: `contract: ${problem}` } });
    count++;
    inFlight++;
    peak = Math.max(peak, inFlight);
    response.once("close", () => inFlight--);
    if (options.record !== false) {
      requests.push(body);
      headers.push(request.headers);
    }
    let attempt = 1;
    if (typeof options.mode === "function") {
      attempt += attempts.get(text) ?? 0;
      attempts.set(text, attempt);
    }
    const mode = typeof options.mode === "function" ? options.mode(body, attempt) : (options.mode ?? "ok");
    await options.until;
    if (options.latencyMs) await new Promise((resolve) => setTimeout(resolve, options.latencyMs));
    reply(mode, body, text, response);
  }

  function reply(mode: Mode, body: ChatRequest, text: string, response: ServerResponse): void {
    switch (mode) {
      case "hang":
        return;
      case "reset":
        response.destroy();
        return;
      case "rate-limited":
        response.setHeader("retry-after", options.retryAfter ?? "0");
        json(response, 429, { error: { message: "slow down" } });
        return;
      case "error":
        json(response, 500, { error: { message: "the model fell over" } });
        return;
      case "rejected":
        json(response, 400, { error: { message: "maximum context length is 12 tokens" } });
        return;
      case "unauthorized":
        json(response, 401, { error: { message: "bad key" } });
        return;
      case "redirect":
        response.setHeader("location", "http://127.0.0.1:1/elsewhere");
        json(response, 307, {});
        return;
      case "garbage":
        response.setHeader("content-type", "text/html");
        response.end("<html>Welcome to the login page</html>");
        return;
      case "wrong-shape":
        json(response, 200, { result: "hello" });
        return;
      case "huge":
        response.setHeader("content-type", "application/json");
        pour(response);
        return;
      case "ok":
      case "cut-stream": {
        const answer = options.answer?.(body) ?? hashed(text);
        if (body.stream) stream(response, body, answer, options.usage !== false, mode === "cut-stream");
        else json(response, 200, completion(body, answer, options.usage !== false));
      }
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    headers,
    get count() {
      return count;
    },
    get peak() {
      return peak;
    },
    set(next) {
      options = next;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function hashed(text: string): string {
  return `answer ${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}

function usageOf(body: ChatRequest, answer: string) {
  const prompt = body.messages.reduce((sum, { content }) => sum + words(content), 0);
  const answered = words(answer);
  return { prompt_tokens: prompt, completion_tokens: answered, total_tokens: prompt + answered };
}

function words(text: string): number {
  return text.split(/\s+/).filter(Boolean).length;
}

function completion(body: ChatRequest, answer: string, usage: boolean) {
  return {
    id: "chatcmpl-test",
    object: "chat.completion",
    created: 0,
    model: body.model,
    choices: [
      { index: 0, message: { role: "assistant", content: answer }, finish_reason: "stop", logprobs: null },
    ],
    ...(usage && { usage: usageOf(body, answer) }),
  };
}

function stream(
  response: ServerResponse,
  body: ChatRequest,
  answer: string,
  usage: boolean,
  cut: boolean,
): void {
  response.setHeader("content-type", "text/event-stream");
  const base = { id: "chatcmpl-test", object: "chat.completion.chunk", created: 0, model: body.model };
  const send = (choices: unknown[], more: object = {}) =>
    response.write(`data: ${JSON.stringify({ ...base, choices, ...more })}\n\n`);
  send([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
  for (const piece of answer.split(/(?<= )/))
    send([{ index: 0, delta: { content: piece }, finish_reason: null }]);
  if (cut) {
    response.end();
    return;
  }
  send([{ index: 0, delta: {}, finish_reason: "stop" }]);
  if (usage) send([], { usage: usageOf(body, answer) });
  response.end("data: [DONE]\n\n");
}

function pour(response: ServerResponse): void {
  const block = "x".repeat(64 * 1024);
  let left = 512;
  const more = (): void => {
    while (left-- > 0) if (!response.write(block)) return;
    response.end();
  };
  response.on("drain", more);
  more();
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
