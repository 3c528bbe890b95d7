import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { comparePaired } from "../../controller/eval/statistics/index.ts";
import { type Framework, python, run } from "./environment.ts";
import { ask } from "./rows.ts";
import { withServer } from "./serving.ts";
import { baseSafetensors, type Case, cases, holds, lines, trainedModel } from "./training.ts";

/** The trained model against the base model on cases that neither has seen, both served, paired case by case. */
export async function compare(framework: Framework, folder: string): Promise<Record<string, unknown>> {
  const all = await cases();
  const before = await answers(folder, "base", all, undefined);
  const after = await answers(folder, framework, all, trainedModel(framework, folder));
  const changed = all.filter(({ id }) => before.get(id) !== after.get(id)).length;
  holds(changed > 0, "the answers change");
  const right = (from: Map<string, string>, { id, expected }: Case) => Number(from.get(id) === expected);
  const units = all.map((each) => ({ id: each.id, base: right(before, each), head: right(after, each) }));
  const gate = {
    margin: 0,
    higherIsBetter: true,
    binary: true,
    repeats: 1,
    bounds: [0, 1] as const,
    seed: 1,
  };
  const { n, baseMean, headMean, lower, upper, method } = comparePaired(units, gate);
  holds(lower > 0, `the interval [${lower}, ${upper}] of ${n} cases is above 0`);
  const round = (value: number) => Math.round(value * 1000) / 1000;
  return {
    framework,
    cases: n,
    changed,
    base: round(baseMean),
    trained: round(headMean),
    interval: [round(lower), round(upper)],
    method,
  };
}

/** What the served model says to each case; kept for the next run. */
async function answers(
  folder: string,
  name: string,
  all: readonly Case[],
  adapter: string | undefined,
): Promise<Map<string, string>> {
  const place = join(folder, "answers");
  const output = join(place, `${name}.jsonl`);
  await mkdir(place, { recursive: true });
  if (!existsSync(output)) {
    const served = { base: await baseSafetensors(folder), adapter, log: join(place, `${name}.log`) };
    const found = await withServer(served, async (say) => {
      const rows: string[] = [];
      for (const { id, vars } of all)
        rows.push(`${JSON.stringify({ id, answer: await say(ask(vars.ticket)) })}\n`);
      return rows;
    });
    await writeFile(`${output}.draft`, found.join(""));
    await rename(`${output}.draft`, output);
  }
  const found = await lines<{ id: string; answer: string }>(output);
  return new Map(found.map(({ id, answer }) => [id, answer.trim().toLowerCase()]));
}

/** Keras, which trained the adapter, and PyTorch, which serves it, compute the same with it. */
export async function equalLogits(folder: string): Promise<Record<string, unknown>> {
  const place = join(folder, "logits");
  await mkdir(place, { recursive: true });
  const chats = join(place, "chats.jsonl");
  const some = (await cases()).slice(0, 16);
  await writeFile(
    chats,
    some.map(({ vars }) => `${JSON.stringify({ messages: ask(vars.ticket) })}\n`).join(""),
  );
  const models = [await baseSafetensors(folder), trainedModel("tensorflow", folder)];
  const args = ["-m", "tests.equal_logits", await python("tensorflow"), ...models, chats];
  const output = await run(await python("torch"), args, join(place, "log"));
  return JSON.parse(output.trimEnd().split("\n").at(-1)!);
}
