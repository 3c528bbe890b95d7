import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { SlipwayError } from "../../errors.ts";
import { createApi } from "./http.ts";
import type { ChatModel } from "./model-process.ts";
import type { Finished } from "./protocol.ts";

const finished: Finished = { finishReason: "stop", promptTokens: 5, cachedTokens: 3, completionTokens: 2 };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** The API over a model that does as told; the real one is used in test/integration/model. */
async function serve(generate: ChatModel["generate"], more: { apiKey?: string; alive?: boolean } = {}) {
  const model: ChatModel = { capabilities: { contextSize: 64 }, alive: more.alive ?? true, generate };
  const server = createApi({ name: "tiny", model, fingerprint: "fp", apiKey: more.apiKey });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const body = { model: "tiny", messages: [{ role: "user", content: "Hi" }] };
const post = (url: string, content: unknown, init: RequestInit = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof content === "string" ? content : JSON.stringify(content),
    ...init,
  });

const hello: ChatModel["generate"] = async (_request, onText) => {
  onText("Hel");
  onText("lo");
  return finished;
};

describe("chat completions", () => {
  it("joins the pieces and counts tokens", async () => {
    const answer = await (await post(await serve(hello), body)).json();
    expect(answer).toMatchObject({
      object: "chat.completion",
      model: "tiny",
      system_fingerprint: "fp",
      choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 3 },
      },
    });
  });

  it("streams pieces, the reason, usage when asked for, and the end mark", async () => {
    const url = await serve(hello);
    const response = await post(url, { ...body, stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = (await response.text()).trim().split("\n\n");
    expect(events.pop()).toBe("data: [DONE]");
    const chunks = events.map((event) => JSON.parse(event.replace(/^data: /, "")));
    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      { content: "Hel" },
      { content: "lo" },
      {},
      undefined,
    ]);
    expect(chunks.map((chunk) => chunk.usage?.total_tokens ?? null)).toEqual([null, null, null, null, 7]);
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  it("leaves usage out of a stream unless asked for", async () => {
    const response = await post(await serve(hello), { ...body, stream: true });
    expect(await response.text()).not.toContain("usage");
  });

  it("cancels the model when the client goes", async () => {
    const cancelled = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    const url = await serve((_request, _onText, signal) => {
      started.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          cancelled.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    });
    const client = new AbortController();
    const request = post(url, body, { signal: client.signal });
    await started.promise;
    client.abort();
    await expect(request).rejects.toThrow();
    expect(await cancelled.promise).toMatchObject({ code: "Cancelled" });
  });

  it("reports a failure before the first piece with a status, later in the stream", async () => {
    const early = await serve(async () => {
      throw new SlipwayError("ContextLengthExceeded", "too many tokens");
    });
    const refused = await post(early, { ...body, stream: true });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: { code: "context_length_exceeded", param: "messages" },
    });

    const late = await serve(async (_request, onText) => {
      onText("Hel");
      throw new SlipwayError("ModelUnavailable", "it died");
    });
    const text = await (await post(late, { ...body, stream: true })).text();
    expect(text).toContain('"code":"model_unavailable"');
    expect(text).not.toContain("[DONE]");
  });
});

describe("errors", () => {
  it.each([
    ["invalid JSON", "{bad", 400, "invalid_json"],
    ["a wrong field", { ...body, temperature: 9 }, 400, null],
    ["an unknown model", { ...body, model: "gpt" }, 404, "model_not_found"],
    ["a huge body", `"${"x".repeat(4 * 1024 * 1024)}"`, 413, "request_too_large"],
  ])("answers %s in OpenAI's shape", async (_what, content, status, code) => {
    const response = await post(await serve(hello), content);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: {
        message: expect.any(String),
        type: "invalid_request_error",
        param: expect.toSatisfy(isParam),
        code,
      },
    });
  });

  it("refuses a body that a web page could send unasked", async () => {
    const response = await post(await serve(hello), body, { headers: { "content-type": "text/plain" } });
    expect(response.status).toBe(415);
  });

  it("answers unknown paths and methods", async () => {
    const url = await serve(hello);
    expect((await fetch(`${url}/v1/embeddings`)).status).toBe(404);
    expect((await fetch(`${url}/v1/chat/completions`)).status).toBe(405);
    expect((await fetch(`${url}/v1/models`, { method: "DELETE" })).status).toBe(405);
  });

  it("asks for the key everywhere but at /health", async () => {
    const url = await serve(hello, { apiKey: "sesame" });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    const wrong = await fetch(`${url}/v1/models`, { headers: { authorization: "Bearer sesam" } });
    expect(await wrong.json()).toMatchObject({ error: { code: "invalid_api_key" } });
    const right = await fetch(`${url}/v1/models`, { headers: { authorization: "Bearer sesame" } });
    expect(right.status).toBe(200);
  });

  it("is not healthy once the model has died", async () => {
    const response = await fetch(`${await serve(hello, { alive: false })}/health`);
    expect([response.status, await response.json()]).toEqual([503, { status: "unavailable" }]);
  });
});

function isParam(value: unknown): boolean {
  return value === null || typeof value === "string";
}
