import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EvalRun } from "../../schemas/eval-run.ts";
import { type Mode, type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { listObjects } from "../scenario/cluster.ts";
import { deploymentManifest, yamlOf } from "../scenario/manifests.ts";
import { answer, prompt, suite } from "./story.ts";
import { conditionOf, type Proposal, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

const CASES = 4;
const RETRIES = 2;

interface Failure {
  readonly mode: Mode | "down";
  readonly reason: string;
  /** What the EvalRun's message begins with: where two have one reason, it tells them apart. */
  readonly says: RegExp;
  /** Whether trying again could have helped. */
  readonly retried: boolean;
}

/** How an endpoint fails, and what the EvalRun has to say. */
const FAILURES: Readonly<Record<string, Failure>> = {
  down: { mode: "down", reason: "ModelUnavailable", says: /^no answer: ECONNREFUSED \(check/, retried: true },
  cut: {
    mode: "reset",
    reason: "ModelUnavailable",
    says: /^no answer: (UND_ERR_SOCKET|ECONNRESET) \(check/,
    retried: true,
  },
  slow: { mode: "hang", reason: "ModelTimeout", says: /^no whole answer within 300 ms;/, retried: true },
  limited: {
    mode: "rate-limited",
    reason: "ModelRateLimited",
    says: /^HTTP 429: slow down;/,
    retried: true,
  },
  broken: {
    mode: "error",
    reason: "ModelUnavailable",
    says: /^HTTP 500: the model fell over;/,
    retried: true,
  },
  garbage: { mode: "garbage", reason: "ModelGarbage", says: /^the answer is not JSON;/, retried: true },
  misshapen: {
    mode: "wrong-shape",
    reason: "ModelGarbage",
    says: /^not a chat completion: choices: /,
    retried: true,
  },
  unauthorized: {
    mode: "unauthorized",
    reason: "ModelUnauthorized",
    says: /^HTTP 401: bad key \(check the key/,
    retried: false,
  },
};

/** The prompt that an endpoint fails on; it answers all others, so that main is evaluated. */
const PROPOSED = "Be careful.";

describe("a model's endpoint that fails", () => {
  let world: World;
  let tenant: Tenant;
  const models = new Map<string, ModelEndpointHandle>();
  const proposals = new Map<string, Proposal>();

  beforeAll(async () => {
    world = await World.create();
    tenant = await world.tenant();
    const files: Record<string, string> = {};
    for (const [name, { mode }] of Object.entries(FAILURES)) {
      const model = await startModelEndpoint({
        answer,
        mode: ({ messages }) =>
          mode !== "down" && messages.at(-1)?.content.includes(PROPOSED) ? mode : "ok",
      });
      models.set(name, model);
      const manifests = [
        deploymentManifest(name, model.baseURL, { timeout: "300ms" }),
        suite(name, CASES, { model: name, budget: { maxRetries: RETRIES, concurrency: 2 } }),
      ];
      files[`${name}/rest.yaml`] = yamlOf(...manifests);
      files[`${name}/prompt.yaml`] = yamlOf(prompt(name, "plain"));
    }
    const commit = await tenant.push(files);
    await tenant.follow();
    await tenant.synced(commit);
    for (const name of models.keys()) await tenant.ready("EvalSuite", name);
    await models.get("down")?.close();
    for (const name of models.keys()) {
      const changed = { [`${name}/prompt.yaml`]: yamlOf(prompt(name, "careful")) };
      proposals.set(name, await tenant.propose(name, changed));
    }
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    for (const [name, model] of models) if (name !== "down") await model.close();
  });

  test.for(Object.entries(FAILURES))(
    "%s: the run says so and is an error, no verdict",
    async ([name, failure]) => {
      const proposal = proposals.get(name) as Proposal;
      const status = await tenant.judged(proposal);
      expect(status).toMatchObject({ status: "error" });
      expect(status.description).toContain(failure.reason);
      const { body } = await tenant.comment(proposal);
      expect(body).toContain(failure.reason);
      expect(body).not.toMatch(/regressed|improved/);

      const runs = (await listObjects(world.client, "EvalRun", tenant.namespace)) as unknown as EvalRun[];
      const run = runs.find(({ spec }) => spec.pullRequest === proposal.number);
      expect(run?.status).toMatchObject({ verdict: "Error", passed: false });
      expect(run?.status).not.toHaveProperty("score");
      expect(run?.status?.gates ?? []).toEqual([]);
      expect(conditionOf(run, "Passing")).toMatchObject({ status: "Unknown", reason: failure.reason });
      expect(conditionOf(run, "Passing")?.message).toMatch(failure.says);
      expect(conditionOf(run, "Ready")).toMatchObject({ status: "True" });
      // Counted by the one who asks: who is down counts nothing.
      const [, made, repeated] = /([\d,]+) calls? made, .* ([\d,]+) repeated/.exec(body) ?? [];
      expect(Number(made)).toBe(run?.status?.calls?.made);
      if (failure.retried) {
        expect(Number(repeated)).toBeGreaterThanOrEqual(RETRIES);
        expect(Number(repeated)).toBeLessThanOrEqual(RETRIES * CASES);
      } else expect(Number(repeated)).toBe(0);
      if (failure.mode === "down") return;

      // The same request again and again, but no more often than the budget says, and for no more calls than it takes to tell.
      const requests = models.get(name)?.requests ?? [];
      const tries = new Map<string, number>();
      for (const { messages } of requests) {
        const text = messages.at(-1)?.content ?? "";
        if (text.includes(PROPOSED)) tries.set(text, (tries.get(text) ?? 0) + 1);
      }
      expect(tries.size).toBeGreaterThan(0);
      expect(Math.max(...tries.values())).toBe(failure.retried ? 1 + RETRIES : 1);
    },
  );

  test("once the endpoint answers again, asking for the run again brings the verdict", async () => {
    const proposal = proposals.get("broken") as Proposal;
    const before = await tenant.judged(proposal);
    const model = models.get("broken") as ModelEndpointHandle;
    model.set({ answer });
    const answered = model.count;
    const runs = await listObjects(world.client, "EvalRun", tenant.namespace);
    const run = runs.find(({ spec }) => (spec as EvalRun["spec"]).pullRequest === proposal.number);
    await tenant.request("EvalRun", run?.metadata.name ?? "");
    expect(await tenant.judged(proposal, { after: before.id })).toMatchObject({ status: "success" });
    expect(model.count - answered).toBe(CASES);
  });
});
