import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { certificateAuthority } from "../../../test/certificates.ts";
import { type ModelEndpointOptions, startModelEndpoint } from "../../../test/model-endpoint.ts";
import { callModel } from "./call.ts";
import type { ModelEndpoint, ModelRequest } from "./types.ts";

const request: ModelRequest = { messages: [{ role: "user", content: "What is the capital of France?" }] };

afterEach(() => void vi.unstubAllEnvs());

async function start(options: ModelEndpointOptions = {}) {
  const server = await startModelEndpoint(options);
  const endpoint: ModelEndpoint = { baseURL: server.baseURL, model: "m-1", timeoutMs: 5_000 };
  const host = new URL(server.baseURL).host;
  return { server, endpoint, host, [Symbol.asyncDispose]: () => server.close() };
}

describe("callModel", () => {
  test("sends what the contract allows and returns text, usage and time", async () => {
    await using at = await start({ answer: () => "Paris, of course", latencyMs: 30 });
    const answer = await callModel({
      endpoint: at.endpoint,
      request: {
        ...request,
        parameters: {
          temperature: 0,
          topP: 0.5,
          maxTokens: 12,
          stop: ["\n"],
          seed: 7,
          frequencyPenalty: 1,
          presencePenalty: -1,
        },
        outputSchema: { type: "string" },
      },
    });
    expect(answer).toMatchObject({
      text: "Paris, of course",
      finishReason: "stop",
      usage: { promptTokens: 6, completionTokens: 3 },
    });
    expect(answer.latencyMs).toBeGreaterThanOrEqual(29);
    expect(at.server.requests).toEqual([
      {
        model: "m-1",
        messages: request.messages,
        temperature: 0,
        top_p: 0.5,
        max_tokens: 12,
        stop: ["\n"],
        seed: 7,
        frequency_penalty: 1,
        presence_penalty: -1,
        response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "string" } } },
      },
    ]);
  });

  test("usage that the endpoint does not report stays unknown", async () => {
    await using at = await start({ usage: false });
    expect(await callModel({ endpoint: at.endpoint, request })).not.toHaveProperty("usage");
  });

  test("a stream gives the same answer and the time to its first token", async () => {
    await using at = await start({ answer: () => "one two three" });
    const answer = await callModel({ endpoint: at.endpoint, request: { ...request, stream: true } });
    expect(answer).toMatchObject({
      text: "one two three",
      finishReason: "stop",
      usage: { completionTokens: 3 },
    });
    expect(answer.timeToFirstTokenMs).toBeLessThanOrEqual(answer.latencyMs);
    expect(answer.timeToFirstTokenMs).toBeGreaterThan(0);
  });

  test("a stream that breaks off is no short answer", async () => {
    await using at = await start({ mode: "cut-stream" });
    await expect(
      callModel({ endpoint: at.endpoint, request: { ...request, stream: true } }),
    ).rejects.toMatchObject({
      code: "ModelUnavailable",
      retryable: true,
    });
  });

  test.each([
    ["rate-limited", "ModelRateLimited", true],
    ["error", "ModelUnavailable", true],
    ["reset", "ModelUnavailable", true],
    ["garbage", "ModelGarbage", true],
    ["wrong-shape", "ModelGarbage", true],
    ["huge", "ModelGarbage", false],
    ["rejected", "ModelRejected", false],
    ["unauthorized", "ModelUnauthorized", false],
    ["redirect", "ModelRedirected", false],
  ] as const)("mode %s is %s, retryable: %s, and asked once", async (mode, code, retryable) => {
    await using at = await start({ mode });
    await expect(callModel({ endpoint: at.endpoint, request })).rejects.toMatchObject({ code, retryable });
    expect(at.server.count).toBe(1);
  });

  test("Retry-After is kept, in seconds or as a date", async () => {
    await using at = await start({ mode: "rate-limited", retryAfter: "7" });
    await expect(callModel({ endpoint: at.endpoint, request })).rejects.toMatchObject({
      retryAfterMs: 7_000,
    });
    at.server.set({ mode: "rate-limited", retryAfter: new Date(Date.now() + 60_000).toUTCString() });
    const error = await callModel({ endpoint: at.endpoint, request }).catch((caught: unknown) => caught);
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(50_000);
  });

  test("a refused connection is ModelUnavailable", async () => {
    const at = await start();
    await at.server.close();
    await expect(callModel({ endpoint: at.endpoint, request })).rejects.toMatchObject({
      code: "ModelUnavailable",
      retryable: true,
      message: "no answer: ECONNREFUSED",
    });
  });

  test("an endpoint that hangs is a timeout; a caller who leaves gets their own reason", async () => {
    await using at = await start({ mode: "hang" });
    await expect(callModel({ endpoint: { ...at.endpoint, timeoutMs: 50 }, request })).rejects.toMatchObject({
      code: "ModelTimeout",
      retryable: true,
    });
    const reason = new Error("shutting down");
    const leave = AbortSignal.abort(reason);
    await expect(callModel({ endpoint: at.endpoint, request, signal: leave })).rejects.toBe(reason);
    const controller = new AbortController();
    const pending = callModel({ endpoint: at.endpoint, request, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(pending).rejects.toBe(reason);
  });
});

describe("keys", () => {
  const apiKey = "sk-very-secret-0123456789";

  test("go to an allowed host", async () => {
    await using at = await start({ apiKey });
    const answer = await callModel({
      endpoint: { ...at.endpoint, apiKey },
      request,
      allowedHosts: [at.host],
    });
    expect(answer.text).toMatch(/^answer /);
  });

  test.each([[undefined], [[]], [["api.openai.com"]]])(
    "go nowhere with allowed hosts %j",
    async (allowedHosts) => {
      await using at = await start();
      const call = callModel({
        endpoint: { ...at.endpoint, apiKey },
        request,
        ...(allowedHosts && { allowedHosts }),
      });
      await expect(call).rejects.toMatchObject({ code: "HostNotAllowed", retryable: false });
      expect(at.server.count).toBe(0);
    },
  );

  test("a certificate that is not trusted is said, with what to do, and not tried again", async () => {
    const issued = certificateAuthority("test").issue();
    const server = createServer(issued, (_, response) => response.end("{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const endpoint = { baseURL: `https://127.0.0.1:${port}/v1`, model: "m", timeoutMs: 5_000 };
      await expect(callModel({ endpoint, request })).rejects.toMatchObject({
        code: "ModelUnavailable",
        message: expect.stringMatching(
          /^no answer: the server's certificate is of an authority that is not trusted here \([A-Z_]+\)$/,
        ),
        hint: expect.stringContaining("NODE_EXTRA_CA_CERTS"),
        retryable: false,
      });
    } finally {
      server.close();
    }
  });

  test("nothing is asked of the machine itself, where clouds hand out credentials", async () => {
    const endpoint = { baseURL: "http://169.254.169.254/v1", model: "m", timeoutMs: 1_000 };
    await expect(callModel({ endpoint, request })).rejects.toMatchObject({
      code: "HostNotAllowed",
      retryable: false,
    });
  });

  test("given hosts hold without a key too", async () => {
    await using at = await start();
    await expect(callModel({ endpoint: at.endpoint, request, allowedHosts: [] })).rejects.toMatchObject({
      code: "HostNotAllowed",
    });
  });

  test("never show in errors, even when the endpoint repeats them", async () => {
    await using at = await start({ apiKey: "another" });
    const error = await callModel({
      endpoint: { ...at.endpoint, apiKey },
      request,
      allowedHosts: [at.host],
    }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: "ModelUnauthorized",
      message: expect.stringContaining("Incorrect API key"),
    });
    expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toContain("very-secret");
  });

  test.each([true, false])("nothing from the environment is sent (stream: %s)", async (stream) => {
    vi.stubEnv("OPENAI_API_KEY", "sk-from-the-environment");
    vi.stubEnv("OPENAI_ORG_ID", "org-from-the-environment");
    vi.stubEnv("OPENAI_CUSTOM_HEADERS", "x-leak: yes");
    await using at = await start();
    await callModel({ endpoint: at.endpoint, request: { ...request, stream } });
    expect(Object.keys(at.server.headers[0]!).sort()).toEqual([
      "accept",
      "connection",
      "content-length",
      "content-type",
      "host",
      "user-agent",
    ]);
  });
});
