import { describe, expect, test } from "vitest";
import {
  askDirectly,
  casesOf,
  memoryCache,
  modelOf,
  sideOf,
  suiteOf,
  targetOf,
} from "../../test/eval-bundles.ts";
import { type ModelEndpointOptions, startModelEndpoint } from "../../test/model-endpoint.ts";
import { SlipwayError } from "../errors.ts";
import type { ResultBucket } from "../store/store.ts";
import { ModelError } from "./model/index.ts";
import { type Progress, type RunDependencies, type RunInput, runEvaluation } from "./run.ts";

type Input = Omit<RunInput, "tenant">;

async function run(
  options: ModelEndpointOptions,
  inputOf: (baseURL: string) => Input,
  more: Partial<RunDependencies> = {},
) {
  await using server = await startModelEndpoint(options);
  const progress: Progress[] = [];
  const result = await runEvaluation(
    { tenant: "team", ...inputOf(server.baseURL) },
    {
      cache: memoryCache(),
      ask: askDirectly,
      now: Date.now,
      signal: new AbortController().signal,
      onProgress: (step) => progress.push(step),
      ...more,
    },
  );
  return { result, server, progress };
}

/** The head's prompt is another text, which the endpoint can tell from the base's. */
const sides = (baseURL: string) => {
  const model = modelOf(baseURL);
  return { base: sideOf(targetOf(model, "Q: {{q}}")), head: sideOf(targetOf(model, "Please. Q: {{q}}")) };
};
const isHead = (request: { messages: readonly { content: string }[] }) =>
  request.messages[0]!.content.startsWith("Please");

const fast = { maxRetries: 0 };
const good = { type: "equals" as const, value: "good", weight: 1 };

describe("a comparison", () => {
  test("that is all equal on many cases is within the margin", async () => {
    const { result, server, progress } = await run({ answer: () => "good" }, (url) => ({
      ...sides(url),
      suite: suiteOf({ cases: casesOf(80), assert: [good] }),
    }));
    expect(result).toMatchObject({ verdict: "Pass", passed: true, reason: "Passed", errors: {} });
    expect(result.gates).toMatchObject([
      {
        name: "pass-rate",
        target: "chat",
        outcome: "WithinMargin",
        base: 1,
        head: 1,
        delta: 0,
        passed: true,
        method: "tango",
      },
    ]);
    expect(server.count).toBe(160);
    expect(result.calls).toEqual({ made: 160, saved: 0, retried: 0 });
    expect(progress.at(-1)).toEqual({ done: 160, total: 160, made: 160, saved: 0 });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  test("of few cases proves nothing, and says how many would", async () => {
    const { result } = await run({ answer: () => "good" }, (url) => ({
      ...sides(url),
      suite: suiteOf({ cases: casesOf(8), assert: [good] }),
    }));
    expect(result).toMatchObject({ verdict: "Inconclusive", passed: true });
    expect(result.gates[0]!.casesNeeded).toBeGreaterThan(8);
  });

  test("finds a regression and shows the worst cases, critical ones first", async () => {
    const { result } = await run({ answer: (request) => (isHead(request) ? "bad" : "good") }, (url) => ({
      ...sides(url),
      suite: suiteOf({
        cases: casesOf(40, (index) => (index === 33 ? { critical: true } : {})),
        assert: [good],
      }),
    }));
    expect(result).toMatchObject({ verdict: "Fail", passed: false, reason: "CriticalCaseFailed" });
    expect(result.gates).toMatchObject([{ outcome: "Regressed", delta: -1, passed: false }]);
    expect(result.critical).toEqual([{ target: "chat", id: "c33", alsoOnBase: false }]);
    expect(result.worst).toHaveLength(10);
    expect(result.worst[0]).toBe("chat/c33");
    expect(result.changes).toEqual({ improved: 0, regressed: 40 });
    expect(result.cases[0]).toMatchObject({
      id: "c0",
      base: { pass: true, score: 1, output: "good" },
      head: {
        pass: false,
        score: 0,
        output: "bad",
        failed: [{ type: "equals", reason: expect.stringContaining("good") }],
      },
    });
  });

  test("with clusters, repeats and named metrics", async () => {
    const { result } = await run({ answer: () => "good" }, (url) => ({
      ...sides(url),
      suite: suiteOf({
        cases: casesOf(12, (index) => ({ cluster: `k${index % 6}` })),
        assert: [{ ...good, metric: "facts" }],
        repeats: 2,
        gates: [
          { name: "facts", metric: "facts", margin: 0.9, onInconclusive: "Fail" },
          { name: "speed", metric: "latency", max: 60_000, onInconclusive: "Pass" },
        ],
      }),
    }));
    expect(result.gates).toMatchObject([
      { name: "facts", n: 12, clusters: 6, outcome: "WithinMargin" },
      { name: "speed", outcome: "Met" },
    ]);
    expect(result.calls.made).toBe(48);
  });

  test("without a base only min and max decide", async () => {
    const only = async (answer: string, gates: RunInput["suite"]["gates"]) => {
      const { result } = await run({ answer: () => answer }, (url) => ({
        head: sides(url).head,
        suite: suiteOf({ assert: [good], gates }),
      }));
      return result;
    };
    const least = {
      name: "least",
      metric: "pass-rate",
      min: 0.9,
      margin: 0.1,
      onInconclusive: "Pass" as const,
    };
    expect(await only("good", [least])).toMatchObject({ verdict: "Pass", gates: [{ outcome: "Met" }] });
    const failed = await only("bad", [least]);
    expect(failed).toMatchObject({
      verdict: "Fail",
      reason: "GateFailed",
      gates: [{ outcome: "NotMet", head: 0 }],
    });
    expect(failed.worst).toHaveLength(4);
    expect(await only("bad", [])).toMatchObject({
      verdict: "Pass",
      reason: "NotCompared",
      gates: [{ outcome: "NotEvaluated" }],
    });
  });
});

describe("calls", () => {
  test("sides that ask the same share the call", async () => {
    const { result, server } = await run({}, (url) => {
      const side = sideOf(targetOf(modelOf(url), "Q: {{q}}"));
      return { base: side, head: side, suite: suiteOf({ cases: casesOf(30) }) };
    });
    expect(server.count).toBe(30);
    expect(result.calls).toEqual({ made: 30, saved: 30, retried: 0 });
  });

  test("repeats are asked apart, and a second run asks nothing", async () => {
    const cache = memoryCache();
    await using server = await startModelEndpoint();
    const input = { ...sides(server.baseURL), tenant: "a", suite: suiteOf({ repeats: 3 }) };
    const deps = { cache, ask: askDirectly, now: Date.now, signal: new AbortController().signal };
    const first = await runEvaluation(input, deps);
    const second = await runEvaluation(input, deps);
    expect(server.count).toBe(24);
    expect(second.calls).toEqual({ made: 0, saved: 24, retried: 0 });
    expect(second.cases).toEqual(first.cases);
    expect(second.targets[0]!.head!.saved).toBe(12);
    await runEvaluation({ ...input, tenant: "b" }, deps);
    expect(server.count).toBe(48);
  });

  // Ctrl-C aborts with an error of ours, which must not count as a call that failed.
  test.each([
    new Error("crash"),
    new SlipwayError("Interrupted", "interrupted"),
    new SlipwayError("Interrupted", "interrupted", { retryable: true }),
  ])("after a cut by %s, only what is missing is asked", async (reason) => {
    const cache = memoryCache();
    await using server = await startModelEndpoint({ latencyMs: 10 });
    const input = {
      ...sides(server.baseURL),
      tenant: "a",
      suite: suiteOf({ cases: casesOf(50), budget: { concurrency: 4 } }),
    };
    const controller = new AbortController();
    const cut = runEvaluation(input, {
      cache,
      ask: askDirectly,
      now: Date.now,
      signal: controller.signal,
      onProgress: ({ done }) => done === 30 && controller.abort(reason),
    });
    await expect(cut).rejects.toBe(reason);
    const saved = cache.size;
    expect(saved).toBeGreaterThanOrEqual(30);
    const lost = server.count - saved;
    expect(lost).toBeLessThanOrEqual(4);
    const result = await runEvaluation(input, {
      cache,
      ask: askDirectly,
      now: Date.now,
      signal: new AbortController().signal,
    });
    expect(result.calls).toMatchObject({ made: 100 - saved, saved });
    expect(server.count).toBe(100 + lost);
  });

  test("never more in flight than the budget and the endpoint allow", async () => {
    const peak = async (concurrency: number, maxConcurrency: number) => {
      const { server } = await run({ latencyMs: 25 }, (url) => {
        const model = modelOf(url, { maxConcurrency });
        const side = (text: string) => sideOf(targetOf(model, text));
        const suite = suiteOf({ cases: casesOf(40), budget: { concurrency } });
        return { base: side("A {{q}}"), head: side("B {{q}}"), suite };
      });
      return server.peak;
    };
    expect(await peak(6, 100)).toBe(6);
    expect(await peak(100, 3)).toBe(3);
  });

  test("runs share an endpoint's places", async () => {
    await using server = await startModelEndpoint({ latencyMs: 5 });
    const model = modelOf(server.baseURL, { maxConcurrency: 3 });
    const once = (text: string) =>
      runEvaluation(
        { tenant: "a", head: sideOf(targetOf(model, text)), suite: suiteOf({ cases: casesOf(20) }) },
        { cache: memoryCache(), ask: askDirectly, now: Date.now, signal: new AbortController().signal },
      );
    await Promise.all([once("A {{q}}"), once("B {{q}}")]);
    expect([server.count, server.peak]).toEqual([40, 3]);
  });

  test("an answer that is too old is asked for again, on both sides", async () => {
    await using server = await startModelEndpoint();
    const kept = memoryCache();
    let aged = false;
    const cache = {
      ...kept,
      get: (tenant: string, bucket: ResultBucket, key: string, maxAgeMs?: number) =>
        aged && maxAgeMs === 1_000 ? undefined : kept.get(tenant, bucket, key),
    };
    const input = { ...sides(server.baseURL), tenant: "a", suite: suiteOf({}) };
    const deps = { cache, ask: askDirectly, now: Date.now, signal: new AbortController().signal };
    await runEvaluation(input, { ...deps, maxAgeMs: 1_000 });
    expect((await runEvaluation(input, { ...deps, maxAgeMs: 1_000 })).calls.made).toBe(0);
    aged = true;
    expect((await runEvaluation(input, { ...deps, maxAgeMs: 1_000 })).calls.made).toBe(8);
  });

  test("costs are exact, and unknown where the endpoint counts no tokens", async () => {
    const pricing = { inputPerMillionTokens: "0.1", outputPerMillionTokens: "0.3" };
    const priced = (usage: boolean) =>
      run({ answer: () => "one two three", usage }, (url) => ({
        head: sideOf(targetOf(modelOf(url, { pricing }), "{{q}}")),
        suite: suiteOf({ cases: casesOf(3) }),
      }));
    // "question n" has two words, the answer three.
    const { result } = await priced(true);
    expect(result.targets[0]!.head!.cost).toEqual({ total: "0.0000033", perCase: 0.0000011, unknown: 0 });
    expect(result.spent).toEqual({ total: "0.0000033", unknown: 0 });
    const unknown = await priced(false);
    expect(unknown.result.targets[0]!.head!.cost).toEqual({ unknown: 3 });
    expect(unknown.result.spent).toEqual({ unknown: 3 });
  });
});

describe("what the head causes counts as its fail", () => {
  test("requests that the model rejects, where it answers the base", async () => {
    const long = (request: { messages: readonly { content: string }[] }) =>
      isHead(request) && !request.messages[0]!.content.endsWith(" 0");
    const { result } = await run({ mode: (request) => (long(request) ? "rejected" : "ok") }, (url) => ({
      ...sides(url),
      suite: suiteOf({ cases: casesOf(30) }),
    }));
    expect(result).toMatchObject({ verdict: "Fail", gates: [{ outcome: "Regressed" }] });
    expect(result.errors.ModelRejected).toMatchObject({
      count: 29,
      message: expect.stringContaining("context length"),
    });
    expect(result.cases[1]!.head).toMatchObject({ pass: false, error: { code: "ModelRejected" } });
  });

  test("a variable that no case gives", async () => {
    const { result, server } = await run({}, (url) => {
      const model = modelOf(url);
      const variables = [{ name: "tone", type: "string" as const }];
      return {
        base: sideOf(targetOf(model, "{{q}}")),
        head: sideOf(targetOf(model, "{{tone}}", { variables })),
        suite: suiteOf({ cases: casesOf(30) }),
      };
    });
    expect(result).toMatchObject({ verdict: "Fail", errors: { MissingVariable: { count: 30 } } });
    expect(server.count).toBe(30);
  });

  test("a template that cannot be read", async () => {
    const { result } = await run({}, (url) => ({
      base: sideOf(targetOf(modelOf(url), "{{q}}")),
      head: sideOf(targetOf(modelOf(url), "{{q")),
      suite: suiteOf({ cases: casesOf(30) }),
    }));
    expect(result).toMatchObject({ verdict: "Fail", errors: { TemplateUnclosed: { count: 30 } } });
  });

  test("an answer that breaks the prompt's own schema", async () => {
    const outputSchema = { type: "object", required: ["a"] };
    const { result } = await run({ answer: (request) => (isHead(request) ? "sorry" : '{"a":1}') }, (url) => ({
      base: sideOf(targetOf(modelOf(url), "Q: {{q}}", { outputSchema })),
      head: sideOf(targetOf(modelOf(url), "Please. Q: {{q}}", { outputSchema })),
      suite: suiteOf({ cases: casesOf(30) }),
    }));
    expect(result).toMatchObject({ verdict: "Fail", errors: { OutputSchemaMismatch: { count: 30 } } });
  });
});

describe("what nobody is to blame for is an Error, never a verdict", () => {
  test.each([
    ["error", "ModelUnavailable"],
    ["rate-limited", "ModelRateLimited"],
    ["garbage", "ModelGarbage"],
    ["reset", "ModelUnavailable"],
    ["unauthorized", "ModelUnauthorized"],
  ] as const)("%s on the head ends in %s", async (mode, reason) => {
    const { result, server } = await run({ mode: (request) => (isHead(request) ? mode : "ok") }, (url) => ({
      ...sides(url),
      suite: suiteOf({ cases: casesOf(200), budget: fast }),
    }));
    expect(result).toMatchObject({ verdict: "Error", passed: false, reason, gates: [] });
    expect(result.errors[reason]!.count).toBeGreaterThan(0);
    // A broken endpoint is not asked for every case.
    expect(server.count).toBeLessThan(100);
  });

  test.each([
    ["both sides", () => true, true],
    ["one request of the base", (head: boolean, last: boolean) => !head && last, true],
    ["every request of the head", (head: boolean) => head, true],
    ["every request, without a base", () => true, false],
  ])("a model that rejects %s", async (_, rejects, withBase) => {
    const mode = (request: { messages: readonly { content: string }[] }) =>
      rejects(isHead(request), request.messages[0]!.content.endsWith(" 3")) ? "rejected" : "ok";
    const { result } = await run({ mode }, (url) => {
      const { base, head } = sides(url);
      return { head, ...(withBase && { base }), suite: suiteOf({}) };
    });
    expect(result).toMatchObject({ verdict: "Error", passed: false, reason: "ModelRejected", gates: [] });
  });

  test("a model that is not there (404), even for one request", async () => {
    const ask: RunDependencies["ask"] = async (model, request, signal) => {
      if (String(request.messages[0]!.content).endsWith("Please. Q: question 2"))
        throw new ModelError("ModelRejected", "HTTP 404: model retired", { status: 404 });
      return askDirectly(model, request, signal);
    };
    const { result } = await run({}, (url) => ({ ...sides(url), suite: suiteOf({}) }), { ask });
    expect(result).toMatchObject({ verdict: "Error", reason: "ModelRejected" });
  });

  test("an endpoint that hangs", async () => {
    const { result } = await run(
      { mode: "hang" },
      (url) => ({ head: sides(url).head, suite: suiteOf({ budget: fast }) }),
      {
        ask: async (model, request, signal) => {
          const soon = AbortSignal.any([signal, AbortSignal.timeout(30)]);
          return askDirectly(model, request, soon).catch(() => {
            throw new ModelError("ModelTimeout", "no whole answer within 30 ms", { retryable: true });
          });
        },
      },
    );
    expect(result).toMatchObject({ verdict: "Error", reason: "ModelTimeout" });
  });

  test("an endpoint that is not there", async () => {
    const server = await startModelEndpoint();
    await server.close();
    const { result } = await run({}, () => ({ ...sides(server.baseURL), suite: suiteOf({ budget: fast }) }));
    expect(result).toMatchObject({ verdict: "Error", reason: "ModelUnavailable" });
  });

  test("failures that pass are retried and change nothing", async () => {
    const { result } = await run(
      { mode: (_, attempt) => (attempt === 1 ? "rate-limited" : "ok"), retryAfter: "0" },
      (url) => ({ head: sides(url).head, suite: suiteOf({}) }),
    );
    expect(result).toMatchObject({ verdict: "Pass", calls: { made: 8, retried: 4 } });
  });

  test.each([
    ["no cases", { cases: [] }],
    [
      "a metric that no assertion has",
      { gates: [{ name: "g", metric: "nope", min: 1, onInconclusive: "Pass" as const }] },
    ],
    ["an assertion without its value", { assert: [{ type: "contains" as const, weight: 1 }] }],
    ["{{expected}} where a case has none", { assert: [{ ...good, value: "{{expected}}" }] }],
    ["a rubric without a judge", { assert: [{ type: "llm-rubric" as const, value: "nice", weight: 1 }] }],
    ["a cost limit without prices", { budget: { maxCost: "1" } }],
  ])("%s is found before the first call", async (_, part) => {
    const { result, server } = await run({}, (url) => ({ ...sides(url), suite: suiteOf(part) }));
    expect(result).toMatchObject({ verdict: "Error", reason: "InvalidSuite" });
    expect(server.count).toBe(0);
  });
});

describe("the budget", () => {
  test("of calls holds to the letter, and what was asked is kept", async () => {
    const cache = memoryCache();
    const { result, server } = await run(
      {},
      (url) => ({ ...sides(url), suite: suiteOf({ cases: casesOf(20), budget: { maxCalls: 11 } }) }),
      {
        cache,
      },
    );
    expect(result).toMatchObject({
      verdict: "Error",
      reason: "BudgetExceeded",
      errors: { BudgetExceeded: { count: 1 } },
    });
    expect(result.message).toContain("maxCalls is 11");
    expect(server.count).toBe(11);
    expect(cache.size).toBe(11);
  });

  test("of money stops after what was in flight, which is saved", async () => {
    const cache = memoryCache();
    const pricing = { inputPerMillionTokens: "1000000", outputPerMillionTokens: "0" };
    const { result, server } = await run(
      {},
      (url) => ({
        head: sideOf(targetOf(modelOf(url, { pricing }), "{{q}}")),
        suite: suiteOf({ cases: casesOf(50), budget: { maxCost: "10", concurrency: 2 } }),
      }),
      { cache },
    );
    // Each call costs 2 USD.
    expect(result).toMatchObject({ verdict: "Error", reason: "BudgetExceeded" });
    expect(server.count).toBeGreaterThanOrEqual(5);
    expect(server.count).toBeLessThanOrEqual(6);
    expect(cache.size).toBe(server.count);
  });

  test("of time ends calls in flight", async () => {
    const started = Date.now();
    const { result } = await run({ mode: "hang" }, (url) => ({
      ...sides(url),
      suite: suiteOf({ budget: { timeout: "100ms" } }),
    }));
    expect(result).toMatchObject({ verdict: "Error", reason: "BudgetExceeded" });
    expect(result.message).toContain("timeout is 100ms");
    expect(Date.now() - started).toBeLessThan(1_500);
  });
});

describe("the judge", () => {
  const rubric = { type: "llm-rubric" as const, value: "is polite about {{q}}", weight: 1 };
  const isJudge = (request: { messages: readonly { content: string }[] }) =>
    request.messages[0]!.content.startsWith("You grade");
  const judged = (url: string) => ({ ...modelOf(url), name: "judge", revision: "f".repeat(64) });

  test("is asked once for equal answers to the same rubric", async () => {
    const cache = memoryCache();
    const { result } = await run(
      {
        answer: (request) =>
          isJudge(request) ? 'Fine. {"pass": true, "score": 0.8, "reason": "kind"}' : "hello",
      },
      (url) => ({ ...sides(url), suite: suiteOf({ assert: [rubric], judge: judged(url) }) }),
      { cache },
    );
    expect(result.targets[0]!.head).toMatchObject({ passRate: 1, score: 0.8 });
    // Four cases: two answers each, one judgement shared by both sides.
    expect(result.calls).toMatchObject({ made: 12, saved: 4 });
  });

  test("that says nothing usable makes an Error", async () => {
    const { result } = await run({ answer: () => "no idea" }, (url) => ({
      ...sides(url),
      suite: suiteOf({ assert: [rubric], judge: judged(url), budget: fast }),
    }));
    expect(result).toMatchObject({ verdict: "Error", reason: "JudgeFailed" });
  });
});
