import { readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { parse } from "yaml";
import { startModelServer } from "../../controller/dev/model/index.ts";
import { createProgress } from "../../controller/dev/progress.ts";
import { comparePaired, type PairedResult } from "../../controller/eval/statistics/index.ts";
import { renderPrompt } from "../../controller/eval/template/index.ts";
import { evalCase } from "../../schemas/eval-suite.ts";
import { promptTemplateSpec } from "../../schemas/prompt-template.ts";

/*
 * The figures of support-triage/README.md: asks the local model every case with both prompts of each pull
 * request. Without arguments it starts the model itself:
 *   node examples/support-triage-prs/measure.ts
 */
const CONCURRENCY = 4;
const MAIN = join(import.meta.dirname, "..", "support-triage");

export type Variant = "good" | "bad";

export interface Measurement {
  readonly comparison: PairedResult;
  /** Answers by case id. */
  readonly base: ReadonlyMap<string, string>;
  readonly head: ReadonlyMap<string, string>;
  readonly promptTokens: { readonly base: number; readonly head: number };
  readonly hard: { readonly cases: number; readonly base: number; readonly head: number };
  readonly seconds: number;
}

export const cases = readFileSync(join(MAIN, "cases", "tickets.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => evalCase.parse(JSON.parse(line)));

const readPrompt = (path: string) => promptTemplateSpec.parse(parse(readFileSync(path, "utf8")).spec);

/** Main's prompt against a pull request's on every case, the two sides interleaved. */
export async function measure(client: OpenAI, model: string, variant: Variant): Promise<Measurement> {
  const prompts = {
    base: readPrompt(join(MAIN, "prompt.yaml")),
    head: readPrompt(join(import.meta.dirname, variant, "prompt.yaml")),
  };
  const answers = { base: new Map<string, string>(), head: new Map<string, string>() };
  const tokens = { base: 0, head: 0 };
  const started = performance.now();
  const jobs = cases
    .flatMap((item) => [{ item, side: "base" } as const, { item, side: "head" } as const])
    .values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const { item, side } of jobs) {
        const { messages, parameters, variables } = prompts[side];
        const completion = await client.chat.completions.create({
          model,
          messages: renderPrompt({ messages, variables }, item.vars) as OpenAI.ChatCompletionMessageParam[],
          temperature: parameters?.temperature,
          max_tokens: parameters?.maxTokens,
          stop: parameters?.stop,
        });
        answers[side].set(item.id, completion.choices[0]?.message.content ?? "");
        tokens[side] += completion.usage?.prompt_tokens ?? 0;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const right = (side: "base" | "head", { id, expected }: (typeof cases)[number]) =>
    answers[side].get(id) === expected ? 1 : 0;
  const units = cases.map((item) => ({ id: item.id, base: right("base", item), head: right("head", item) }));
  const hard = cases.filter(({ tags }) => tags?.includes("hard"));
  const count = (side: "base" | "head") => hard.filter((item) => right(side, item) === 1).length;
  return {
    comparison: comparePaired(units, {
      margin: 0.05,
      higherIsBetter: true,
      binary: true,
      repeats: 1,
      seed: 0,
    }),
    base: answers.base,
    head: answers.head,
    promptTokens: { base: tokens.base / cases.length, head: tokens.head / cases.length },
    hard: { cases: hard.length, base: count("base"), head: count("head") },
    seconds,
  };
}

async function main(): Promise<void> {
  const progress = createProgress();
  const server = await startModelServer({ report: progress.report });
  progress.done();
  try {
    const client = new OpenAI({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
    for (const variant of ["good", "bad"] as const) {
      const { comparison: c, ...measured } = await measure(client, server.model, variant);
      const points = (rate: number) => Number((100 * rate).toFixed(1));
      const line = {
        pullRequest: variant,
        cases: c.n,
        basePercent: points(c.baseMean),
        headPercent: points(c.headMean),
        interval: [points(c.lower), points(c.upper)],
        outcome: c.outcome,
        hard: measured.hard,
        promptTokens: measured.promptTokens,
        seconds: Number(measured.seconds.toFixed(1)),
        callsPerSecond: Number(((2 * c.n) / measured.seconds).toFixed(1)),
      };
      console.log(JSON.stringify(line));
      if (process.argv.includes("--answers")) {
        for (const { id, vars, expected } of cases) {
          console.log([id, expected, measured.base.get(id), measured.head.get(id), vars.ticket].join("\t"));
        }
      }
    }
  } finally {
    await server.stop();
  }
}

if (import.meta.main) await main();
