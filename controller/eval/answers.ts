import { z } from "zod";
import { durationMs } from "../../schemas/common.ts";
import { type Budget, budget as budgetSchema } from "../../schemas/eval-suite.ts";
import { SlipwayError } from "../errors.ts";
import { digestOf, type Json, sha256 } from "../graph/canonical.ts";
import type { ResultCache } from "../store/store.ts";
import type { BundledModel } from "./bundle.ts";
import { costOf, dollars, formatMoney, type Money } from "./cost.ts";
import { JUDGE_VERSION, type Judgement, judgeMessages, parseJudgement } from "./graders/index.ts";
import { withRetries } from "./model/retry.ts";
import type { ModelAnswer, ModelRequest } from "./model/types.ts";
import { factsOf } from "./model-facts.ts";
import { runAtEndpoint, Semaphore } from "./schedule.ts";

/** Sends one request, once; the caller knows secrets and allowed hosts. @throws ModelError */
export type Ask = (model: BundledModel, request: ModelRequest, signal: AbortSignal) => Promise<ModelAnswer>;

export interface AnswerSource {
  readonly cache: ResultCache;
  readonly tenant: string;
  readonly ask: Ask;
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly budget: Budget | undefined;
  /** Every model that may be asked. */
  readonly models: readonly BundledModel[];
  /** Saved answers older than this are asked for again. */
  readonly maxAgeMs: number | undefined;
}

export interface Answered {
  readonly answer: ModelAnswer;
  readonly saved: boolean;
}

/** `requestDigest`: everything that decides what one call may answer. */
export function requestDigest(model: BundledModel, request: ModelRequest, repeat: number): string {
  const { messages, parameters, outputSchema } = request;
  const provider = model.spec.external?.baseURL;
  return digestOf({ provider, model: model.revision, messages, parameters, outputSchema, repeat });
}

const savedAnswer = z.object({
  text: z.string(),
  finishReason: z.string(),
  usage: z.object({ promptTokens: z.number(), completionTokens: z.number() }).exactOptional(),
  latencyMs: z.number(),
  timeToFirstTokenMs: z.number().exactOptional(),
});
const savedJudgement = z.object({ pass: z.boolean(), score: z.number(), reason: z.string() });

/**
 * Where a run's answers and judgements come from: the cache, a call in flight for the same request, or the model, within
 * the budget. An answer is saved before anybody uses it, so that a crash loses only the calls in flight.
 */
export class Answers {
  readonly #source: AnswerSource;
  readonly #budget: Budget;
  readonly #deadline: number;
  readonly #maxCost: Money | undefined;
  readonly #all: Semaphore;
  readonly #limits = new Map<string, number>();
  readonly #answers = new Map<string, Promise<ModelAnswer>>();
  readonly #judgements = new Map<string, Promise<Judgement>>();
  #stopped: SlipwayError | undefined;
  made = 0;
  saved = 0;
  retried = 0;
  spent: Money = 0n;
  unknownCosts = 0;

  constructor(source: AnswerSource) {
    this.#source = source;
    this.#budget = source.budget ?? budgetSchema.parse({});
    this.#deadline = source.now() + durationMs(this.#budget.timeout);
    this.#maxCost = this.#budget.maxCost === undefined ? undefined : dollars(this.#budget.maxCost);
    this.#all = new Semaphore(this.#budget.concurrency);
    for (const model of source.models) {
      const { maxConcurrency = 1 } = factsOf(model) ?? {};
      const key = this.#endpointOf(model);
      this.#limits.set(key, Math.min(maxConcurrency, this.#limits.get(key) ?? maxConcurrency));
    }
  }

  /** One tenant's places are not another's: keys, and with them the provider's limits, are the tenants' own. */
  #endpointOf(bundled: BundledModel): string {
    const { baseURL, model } = factsOf(bundled) ?? {};
    return JSON.stringify([this.#source.tenant, baseURL, model]);
  }

  get stopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** No new call starts; what is in flight ends and is saved. */
  stop(error: SlipwayError): void {
    this.#stopped ??= error;
  }

  async answer(model: BundledModel, request: ModelRequest, repeat: number): Promise<Answered> {
    const key = requestDigest(model, request, repeat);
    const flying = this.#answers.get(key);
    if (flying) return { answer: await this.#shared(flying), saved: true };
    const known = this.#lookUp("generation", key, savedAnswer);
    if (known) {
      this.saved++;
      return { answer: known, saved: true };
    }
    return {
      answer: await this.#once(this.#answers, key, () => this.#makeAnswer(key, model, request)),
      saved: false,
    };
  }

  /** @throws SlipwayError JudgeFailed: there is no verdict */
  async judge(model: BundledModel, rubric: string, output: string): Promise<Judgement> {
    const provider = model.spec.external?.baseURL;
    const key = digestOf({
      version: JUDGE_VERSION,
      provider,
      judge: model.revision,
      rubric,
      output: sha256(output),
    });
    const flying = this.#judgements.get(key);
    if (flying) return this.#shared(flying);
    const known = this.#lookUp("grade", key, savedJudgement);
    if (known) {
      this.saved++;
      return known;
    }
    return this.#once(this.#judgements, key, () => this.#makeJudgement(key, model, rubric, output));
  }

  async #makeAnswer(key: string, model: BundledModel, request: ModelRequest): Promise<ModelAnswer> {
    const answer = await this.#call(model, request, (made) => made);
    await this.#save("generation", key, answer);
    return answer;
  }

  async #makeJudgement(key: string, model: BundledModel, rubric: string, output: string): Promise<Judgement> {
    const request: ModelRequest = { messages: judgeMessages(rubric, output), parameters: { temperature: 0 } };
    try {
      const judgement = await this.#call(model, request, ({ text }) => parseJudgement(text));
      await this.#save("grade", key, judgement);
      return judgement;
    } catch (error) {
      if (!(error instanceof SlipwayError) || error === this.#stopped || error.code === "BudgetExceeded")
        throw error;
      throw new SlipwayError("JudgeFailed", `the judge ${model.name} gave no verdict: ${error.message}`, {
        cause: error,
        retryable: error.retryable,
      });
    }
  }

  /** Asks within every limit; `read` may refuse an answer, which is then asked for again if that can help. */
  async #call<T>(model: BundledModel, request: ModelRequest, read: (answer: ModelAnswer) => T): Promise<T> {
    const { ask, signal, now } = this.#source;
    const endpoint = this.#endpointOf(model);
    // The endpoint's place first: waiting for a slow one must not keep the others from being asked.
    return runAtEndpoint(endpoint, this.#limits.get(endpoint) ?? 1, signal, () =>
      this.#all.run(() =>
        withRetries(
          async () => {
            this.#claim();
            const answer = await ask(model, request, signal);
            this.#charge(costOf(answer.usage, factsOf(model)?.pricing));
            return read(answer);
          },
          {
            maxRetries: this.#budget.maxRetries,
            deadline: this.#deadline,
            signal,
            now,
            onRetry: () => void this.retried++,
          },
        ),
      ),
    );
  }

  #claim(): void {
    this.#source.signal.throwIfAborted();
    if (this.#stopped) throw this.#stopped;
    if (this.made >= this.#budget.maxCalls) this.#exceed(`maxCalls is ${this.#budget.maxCalls}`);
    if (this.#source.now() >= this.#deadline) this.#exceed(`timeout is ${this.#budget.timeout}`);
    if (this.#maxCost !== undefined && this.spent >= this.#maxCost)
      this.#exceed(`${formatMoney(this.spent)} of maxCost ${this.#budget.maxCost} USD is spent`);
    this.made++;
  }

  #charge(cost: Money | undefined): void {
    if (cost !== undefined) {
      this.spent += cost;
      return;
    }
    this.unknownCosts++;
    if (this.#maxCost !== undefined)
      this.#exceed(
        "maxCost is set, but what an answer costs is unknown: pricing or the endpoint's usage is missing",
      );
  }

  #exceed(why: string): never {
    this.stop(exceeded(why));
    throw this.#stopped!;
  }

  async #once<T>(flights: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
    const flight = make();
    flights.set(key, flight);
    try {
      return await flight;
    } finally {
      flights.delete(key);
    }
  }

  async #shared<T>(flight: Promise<T>): Promise<T> {
    const value = await flight;
    this.saved++;
    return value;
  }

  #lookUp<T>(bucket: "generation" | "grade", key: string, shape: z.ZodType<T>): T | undefined {
    const { cache, tenant, maxAgeMs } = this.#source;
    const found = cache.get(tenant, bucket, key, maxAgeMs);
    return found === undefined ? undefined : shape.safeParse(found).data;
  }

  async #save(bucket: "generation" | "grade", key: string, value: object): Promise<void> {
    await this.#source.cache.put(this.#source.tenant, bucket, key, value as Json);
  }
}

/** The error of a run whose budget is used up. */
export function exceeded(why: string): SlipwayError {
  return new SlipwayError("BudgetExceeded", `the budget does not suffice: ${why}`, {
    hint: "answers so far are kept: raise the suite's budget and run again for the rest",
  });
}
