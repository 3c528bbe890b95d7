import { describe, expect, it } from "vitest";
import { ApiError } from "./api-error.ts";
import { parseChatRequest } from "./chat-request.ts";

const user = { role: "user", content: "Hello" };
const minimal = { model: "m", messages: [user] };

function refusal(body: unknown): ApiError {
  try {
    parseChatRequest(body);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("the request was accepted");
}

describe("parseChatRequest", () => {
  it("fills in OpenAI's defaults", () => {
    expect(parseChatRequest(minimal)).toEqual({
      model: "m",
      stream: false,
      includeUsage: false,
      generation: {
        messages: [user],
        temperature: 1,
        topP: 1,
        maxTokens: 256,
        stop: [],
        seed: undefined,
      },
    });
  });

  it("reads every supported field", () => {
    const { generation, stream, includeUsage } = parseChatRequest({
      ...minimal,
      temperature: 0,
      top_p: 0.5,
      max_tokens: 9,
      max_completion_tokens: 4,
      stop: "\n",
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
      user: "ignored",
    });
    expect(generation).toMatchObject({ temperature: 0, topP: 0.5, maxTokens: 4, stop: ["\n"], seed: 7 });
    expect([stream, includeUsage]).toEqual([true, true]);
  });

  it("joins text parts and takes developer for system", () => {
    const parts = [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ];
    const { generation } = parseChatRequest({
      model: "m",
      messages: [{ role: "developer", content: parts }],
    });
    expect(generation.messages).toEqual([{ role: "system", content: "ab" }]);
  });

  it.each([
    [{ messages: [user] }, "model"],
    [{ model: "m" }, "messages"],
    [{ model: "m", messages: [] }, "messages"],
    [{ model: "m", messages: [{ role: "tool", content: "x" }] }, "messages[0].role"],
    [{ model: "m", messages: [{ role: "user", content: 5 }] }, "messages[0].content"],
    [{ ...minimal, temperature: 3 }, "temperature"],
    [{ ...minimal, top_p: 0 }, "top_p"],
    [{ ...minimal, max_tokens: 0 }, "max_tokens"],
    [{ ...minimal, stop: ["1", "2", "3", "4", "5"] }, "stop"],
    [{ ...minimal, n: 2 }, "n"],
    [{ ...minimal, response_format: { type: "json_object" } }, "response_format.type"],
    [{ ...minimal, tools: [{ type: "function" }] }, "tools[0]"],
    [{ ...minimal, frequency_penalty: 0.5 }, "frequency_penalty"],
    [{ ...minimal, stream_options: { include_usage: true } }, "stream_options"],
  ])("refuses %j and names the field", (body, param) => {
    const error = refusal(body);
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param });
    expect(error.message).toContain(param);
  });

  it("refuses what is no object", () => {
    expect(refusal([]).toJSON().error).toMatchObject({ type: "invalid_request_error", param: null });
  });
});
