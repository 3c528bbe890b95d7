import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { APIConnectionError, APIError, toFile } from "openai";
import { SlipwayError } from "../../../errors.ts";
import { plainText } from "../reports.ts";

/** A job as the provider tells of it. */
export interface ProviderJob {
  readonly id: string;
  readonly status: string;
  readonly model?: string;
  readonly trainedTokens?: number;
  readonly error?: string;
}

export interface NewJob {
  readonly model: string;
  readonly method: "sft" | "dpo";
  readonly hyperparameters: Readonly<Record<string, number>>;
  readonly trainingFile: string;
  readonly validationFile?: string;
  readonly suffix?: string;
  readonly seed?: number;
}

/** What marks a job as ours: the work that it does, and the object that it does it for. */
export interface Marks {
  readonly slipway_work: string;
  readonly slipway_object: string;
}

export interface ProviderOptions {
  readonly baseURL: string;
  readonly apiKey: string;
  readonly signal: AbortSignal;
  /** Pauses, in milliseconds, between looks for a job whose creation has no known outcome. */
  readonly settleMs?: readonly number[];
}

export const OVER: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled"]);
/** A job that was just made may be missing from a list for a while. */
const SETTLE_MS = [2_000, 5_000, 15_000, 30_000];
const TIMEOUT_MS = 60_000;
const MAX_PAGES = 100;

/** The provider's files and jobs. Nothing that costs money is ever asked for twice. */
export class Provider {
  readonly #client: OpenAI;
  readonly #signal: AbortSignal;
  readonly #settleMs: readonly number[];

  constructor({ baseURL, apiKey, signal, settleMs = SETTLE_MS }: ProviderOptions) {
    this.#client = new OpenAI({
      baseURL,
      apiKey,
      timeout: TIMEOUT_MS,
      // A request whose answer was lost is looked up, not sent again.
      maxRetries: 0,
      // A redirect would take the key to a host that nobody allowed.
      fetchOptions: { redirect: "error" },
      logLevel: "off",
    });
    this.#signal = signal;
    this.#settleMs = settleMs;
  }

  /** The file's id; one of that name and size is there already after a crash. */
  async upload(name: string, content: Buffer): Promise<string> {
    const bytes = content.byteLength;
    return this.#ask(async (options) => {
      let seen = 0;
      for await (const file of this.#client.files.list({ purpose: "fine-tune", limit: 100 }, options)) {
        if (file.filename === name && file.bytes === bytes && file.status !== "error") return file.id;
        if (++seen >= MAX_PAGES * 100) break;
      }
      const file = await toFile(content, name);
      return (await this.#client.files.create({ file, purpose: "fine-tune" }, options)).id;
    });
  }

  /**
   * The job of this work: the one that there is, or a new one. A job that was cancelled is none.
   * @param settle whether one may have been made whose answer did not come: then it is looked for longer
   */
  async findOrCreate(job: NewJob, marks: Marks, settle: boolean): Promise<ProviderJob> {
    const known = await this.find(marks, settle);
    const [first] = known.filter(({ status }) => status !== "cancelled");
    if (first) return first;
    const { hyperparameters: given } = job;
    const hyperparameters = Object.keys(given).length > 0 ? { hyperparameters: given } : {};
    const method =
      job.method === "sft"
        ? { type: "supervised" as const, supervised: hyperparameters }
        : { type: "dpo" as const, dpo: hyperparameters };
    return this.#ask(async (options) =>
      jobOf(
        await this.#client.fineTuning.jobs.create(
          {
            model: job.model,
            training_file: job.trainingFile,
            method,
            metadata: { ...marks },
            ...(job.validationFile === undefined ? {} : { validation_file: job.validationFile }),
            ...(job.suffix === undefined ? {} : { suffix: job.suffix }),
            ...(job.seed === undefined ? {} : { seed: job.seed }),
          },
          options,
        ),
      ),
    );
  }

  /** Jobs with these marks, the newest first. @param settle looks again for a while when there is none */
  async find(marks: Partial<Marks>, settle = false): Promise<ProviderJob[]> {
    for (const pause of [...(settle ? this.#settleMs : []), undefined]) {
      const found = await this.#ask(async (options) => {
        const jobs: ProviderJob[] = [];
        const query = { limit: 100, metadata: { ...marks } as Record<string, string> };
        for await (const job of this.#client.fineTuning.jobs.list(query, options)) {
          // A server that does not know the filter lists everything.
          const isMarked = Object.entries(marks).every(([key, value]) => job.metadata?.[key] === value);
          if (isMarked) jobs.push(jobOf(job));
        }
        return jobs;
      });
      if (found.length > 0 || pause === undefined) return found;
      await sleep(pause, undefined, { signal: this.#signal });
    }
    return [];
  }

  retrieve(id: string): Promise<ProviderJob> {
    return this.#ask(async (options) => jobOf(await this.#client.fineTuning.jobs.retrieve(id, options)));
  }

  pause(id: string): Promise<ProviderJob> {
    return this.#ask(async (options) => jobOf(await this.#client.fineTuning.jobs.pause(id, options)));
  }

  resume(id: string): Promise<ProviderJob> {
    return this.#ask(async (options) => jobOf(await this.#client.fineTuning.jobs.resume(id, options)));
  }

  /** Cancels every job with these marks that is not over. @returns how many */
  async cancel(marks: Partial<Marks>, settle: boolean): Promise<number> {
    const open = (await this.find(marks, settle)).filter(({ status }) => !OVER.has(status));
    for (const { id } of open) await this.#ask((options) => this.#client.fineTuning.jobs.cancel(id, options));
    return open.length;
  }

  async #ask<T>(call: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
    try {
      return await call({ signal: this.#signal });
    } catch (error) {
      throw explain(error);
    }
  }
}

function jobOf(job: OpenAI.FineTuning.FineTuningJob): ProviderJob {
  return {
    id: plainText(job.id, 128),
    status: plainText(job.status, 64),
    ...(job.fine_tuned_model ? { model: plainText(job.fine_tuned_model, 512) } : {}),
    ...(typeof job.trained_tokens === "number" ? { trainedTokens: job.trained_tokens } : {}),
    ...(job.error?.message ? { error: plainText(`${job.error.code}: ${job.error.message}`) } : {}),
  };
}

/** The key is in none of these: what the provider says to a refused key is left out, because it may repeat it. */
function explain(error: unknown): unknown {
  if (error instanceof APIConnectionError)
    return new SlipwayError(
      "ProviderUnavailable",
      "the provider could not be reached, or did not answer in time",
      {
        retryable: true,
      },
    );
  if (!(error instanceof APIError)) return error;
  const { status } = error;
  if (status === 401 || status === 403)
    return new SlipwayError("ProviderUnauthorized", `the provider refused the key (HTTP ${status})`, {
      hint: "correct it in the Secret of spec.openai.secretRef",
    });
  if (status === 429)
    return new SlipwayError("ProviderRateLimited", "the provider's limit is reached (HTTP 429)", {
      retryable: true,
    });
  const said = plainText(error.message, 500);
  if (status !== undefined && status < 500)
    return new SlipwayError("ProviderRejected", `the provider rejected the request: ${said}`);
  return new SlipwayError("ProviderUnavailable", `the provider failed (HTTP ${status})`, { retryable: true });
}
