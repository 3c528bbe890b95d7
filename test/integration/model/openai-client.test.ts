import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelServer, startModelServer } from "../../../controller/dev/model/index.ts";

/** The real model, asked by OpenAI's own client. The first run downloads about 180 MB. */
let server: ModelServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startModelServer({ report: (line) => console.error(line), apiKey: "sesame" });
  client = new OpenAI({ baseURL: server.url, apiKey: "sesame", maxRetries: 0 });
}, 600_000);
afterAll(() => server?.stop());

const user = (content: string) => [{ role: "user" as const, content }];
const examples = (topic: string) =>
  Array.from({ length: 6 }, (_, index) => [
    { role: "user" as const, content: `Example ${index} about ${topic}` },
    { role: "assistant" as const, content: topic },
  ]).flat();

describe("openai client", { timeout: 120_000 }, () => {
  it("lists and finds the model", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual([server.model]);
    expect(await client.models.retrieve(server.model)).toMatchObject({ object: "model" });
    await expect(client.models.retrieve("gpt-9")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it("answers a question it can answer", async () => {
    const completion = await client.chat.completions.create({
      model: server.model,
      messages: user("What is 2 plus 2?"),
      temperature: 0,
      max_tokens: 16,
    });
    expect(completion.choices[0]?.message.content).toContain("4");
    expect(completion.usage?.completion_tokens).toBeGreaterThan(0);
    expect(completion.usage?.prompt_tokens).toBeGreaterThan(10);
  });

  it("streams the same answer with usage", async () => {
    const request = {
      model: server.model,
      messages: user("Name three colours."),
      temperature: 0,
      max_tokens: 24,
    };
    const whole = await client.chat.completions.create(request);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let tokens: number | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      tokens = chunk.usage?.total_tokens ?? tokens;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(text).not.toBe("");
    expect(tokens).toBe(whole.usage?.total_tokens);
  });

  it("keeps to max_tokens and cuts at stop texts", async () => {
    const ask = async (more: { max_tokens: number; stop?: string[] }) =>
      (
        await client.chat.completions.create({
          model: server.model,
          messages: user("Count from one to ten in words."),
          temperature: 0,
          ...more,
        })
      ).choices[0];
    const short = await ask({ max_tokens: 5 });
    expect(short?.finish_reason).toBe("length");
    const full = (await ask({ max_tokens: 40 }))?.message.content ?? "";
    const word = full.split(/\s+/)[3] ?? "";
    expect(word).not.toBe("");
    const cut = await ask({ max_tokens: 40, stop: [word] });
    expect(cut?.finish_reason).toBe("stop");
    expect(cut?.message.content).toBe(full.slice(0, full.indexOf(word)));
  });

  it("samples by seed", async () => {
    const ask = async (seed: number) =>
      (
        await client.chat.completions.create({
          model: server.model,
          messages: user("Tell me a story."),
          temperature: 1,
          seed,
          max_tokens: 24,
        })
      ).choices[0]?.message.content;
    const first = await ask(1);
    expect(await ask(1)).toBe(first);
    expect(await ask(2)).not.toBe(first);
  });

  it("gives errors that the client understands", async () => {
    const long = client.chat.completions.create({
      model: server.model,
      messages: user("word ".repeat(5000)),
    });
    await expect(long).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
    const unknown = client.chat.completions.create({ model: "gpt-9", messages: user("Hi") });
    await expect(unknown).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    const stranger = new OpenAI({ baseURL: server.url, apiKey: "wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it("frees its place when the client goes away", async () => {
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    const gone = controllers.map(({ signal }) =>
      client.chat.completions.create(
        { model: server.model, messages: user("Write a long novel."), max_tokens: 3000 },
        { signal },
      ),
    );
    const outcomes = Promise.allSettled(gone);
    setTimeout(() => {
      for (const controller of controllers) controller.abort();
    }, 300);
    expect((await outcomes).map(({ status }) => status)).toEqual(Array(4).fill("rejected"));
    const started = performance.now();
    await client.chat.completions.create({ model: server.model, messages: user("Hi"), max_tokens: 1 });
    // 3,000 tokens would take half a minute at least.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("answers the same at temperature 0 whatever came before, alone or beside others", async () => {
    const ask = async (topic: string, question: string) =>
      (
        await client.chat.completions.create({
          model: server.model,
          messages: [...examples(topic), ...user(question)],
          temperature: 0,
          max_tokens: 6,
        })
      ).choices[0]?.message.content;
    const jobs = ["apples", "trains", "music"].flatMap((topic) =>
      ["What is this?", `Why ${topic}?`, "Example 3 about bread and butter"].map((q) => [topic, q] as const),
    );
    const alone: unknown[] = [];
    for (const [topic, question] of jobs) alone.push(await ask(topic, question));
    const together = await Promise.all(jobs.map(([topic, question]) => ask(topic, question)));
    const backwards: unknown[] = [];
    for (const [topic, question] of jobs.toReversed()) backwards.unshift(await ask(topic, question));
    expect(together).toEqual(alone);
    expect(backwards).toEqual(alone);
    expect(new Set(alone).size).toBeGreaterThan(3);
  });

  it("keeps a prompt's beginning although another prompt's calls come in between", async () => {
    const ask = async (topic: string, question: string) =>
      (
        await client.chat.completions.create({
          model: server.model,
          messages: [...examples(topic), ...user(question)],
          temperature: 0,
          max_tokens: 2,
        })
      ).usage;
    await ask("boats", "one");
    await ask("cheese", "one");
    const usage = await ask("boats", "two");
    expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(0.8 * (usage?.prompt_tokens ?? 0));
  });
});
