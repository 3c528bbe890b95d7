import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepare } from "../../controller/data/prepare.ts";
import { comparePaired } from "../../controller/eval/statistics/index.ts";
import { blobDigest, canonicalJson, type Json } from "../../controller/graph/canonical.ts";
import { datasetSpec } from "../../schemas/dataset.ts";
import { baseModel, type Framework, python, ROOT, run } from "./environment.ts";
import { ask } from "./rows.ts";

interface Case {
  readonly id: string;
  readonly vars: { readonly ticket: string };
  readonly expected: string;
}

const ROWS = join(ROOT, "examples", "support-llm", "data", "train.jsonl");
const CASES = join(ROOT, "examples", "support-triage", "cases", "tickets.jsonl");
/** The same for both frameworks: 36 steps of 8 rows. */
const HYPERPARAMETERS = {
  maxSteps: 36,
  batchSize: 8,
  learningRate: 0.0005,
  warmup: 0.1,
  maxSequenceLength: 128,
  saveSteps: 12,
};

const lines = async <T>(path: string) =>
  (await readFile(path, "utf8"))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

/** No row gives away a case: the step `decontaminate` of a Dataset drops none. */
export async function decontaminated(): Promise<Record<string, unknown>> {
  const cases = await lines<Case>(CASES);
  const spec = datasetSpec.parse({
    format: "chat",
    sources: [{ name: "rows", files: [{ path: "train.jsonl" }] }],
    steps: [{ name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } }],
  });
  const data = await readFile(ROWS);
  const source = { name: "rows", files: [{ path: "train.jsonl", data }] };
  const texts = new Map([["triage", cases.map(({ vars }) => vars.ticket)]]);
  const { read, steps } = await prepare(spec, [source], { cases: texts });
  const dropped = steps.reduce((sum, step) => sum + step.dropped, 0);
  holds(dropped === 0, `${dropped} of ${read} rows hold words of a case`);
  holds(cases.length >= 100, "there are 100 held-out cases");
  return { rows: read, cases: cases.length, dropped };
}

/** A real training; one that was cut off goes on from its last checkpoint. */
export async function train(framework: Framework, folder: string): Promise<Record<string, unknown>> {
  const own = join(folder, framework);
  const output = join(own, "output");
  const dataset = join(folder, "dataset");
  for (const each of [own, dataset]) await mkdir(each, { recursive: true });
  await writeFile(join(dataset, "train.jsonl"), await readFile(ROWS));
  const { source, file } = await baseFor(framework, folder);
  const spec = {
    framework,
    method: "sft",
    identity: "test",
    adapter: { r: 16, alpha: 32 },
    baseModel: { source, ...(file === undefined ? {} : { file }) },
    dataset: { split: "train" },
    hyperparameters: HYPERPARAMETERS,
  };
  await writeFile(join(own, "spec.json"), JSON.stringify(spec));
  const started = Date.now();
  if (!existsSync(join(output, "result.json"))) {
    const args = ["--dataset", dataset, "--output", output, "--work", join(own, "work")];
    const interpreter = await python(framework);
    await run(interpreter, ["-m", "slipway_trainer", join(own, "spec.json"), ...args], join(own, "log"));
  }
  const { state, result } = JSON.parse(await readFile(join(output, "result.json"), "utf8"));
  holds(state === "Succeeded", "the training succeeded");
  const { artifact, metrics, steps } = result;
  const manifest = JSON.parse(await readFile(join(output, "manifest.json"), "utf8")) as Json;
  holds(
    blobDigest(Buffer.from(canonicalJson(manifest))) === artifact.digest,
    "the artifact is its manifest's digest",
  );
  holds(
    metrics.lastLoss < metrics.firstLoss / 2,
    `the loss falls: ${metrics.firstLoss} to ${metrics.lastLoss}`,
  );
  return {
    framework,
    steps,
    firstLoss: metrics.firstLoss,
    lastLoss: metrics.lastLoss,
    seconds: Math.round((Date.now() - started) / 1000),
    artifact: artifact.digest,
  };
}

/** Keras reads safetensors: those that PyTorch's environment makes of the GGUF file. */
async function baseFor(framework: Framework, folder: string): Promise<{ source: string; file?: string }> {
  const { folder: source, file } = await baseModel();
  if (framework === "torch") return { source, file };
  const work = join(folder, "answers");
  await answers(folder, "convert", [], undefined);
  return { source: join(work, "base-safetensors") };
}

async function answers(
  folder: string,
  name: string,
  cases: readonly Case[],
  adapter: string | undefined,
): Promise<Map<string, string>> {
  const work = join(folder, "answers");
  await mkdir(work, { recursive: true });
  const input = join(work, `${name}.in.jsonl`);
  const output = join(work, `${name}.jsonl`);
  await writeFile(
    input,
    cases.map(({ id, vars }) => `${JSON.stringify({ id, messages: ask(vars.ticket) })}\n`).join(""),
  );
  if (!existsSync(output)) {
    const { folder: base, file } = await baseModel();
    const args = ["--base", base, "--gguf", file, "--work", work, "--max-tokens", "4"];
    await run(
      await python("torch"),
      ["-m", "slipway_trainer.generate", ...args, "--input", input, "--output", output].concat(
        adapter === undefined ? [] : ["--adapter", adapter],
      ),
      join(work, `${name}.log`),
    );
  }
  const found = await lines<{ id: string; answer: string }>(output);
  return new Map(found.map(({ id, answer }) => [id, answer.trim().toLowerCase()]));
}

/** The trained model against the base model on cases that neither has seen, paired case by case. */
export async function compare(framework: Framework, folder: string): Promise<Record<string, unknown>> {
  const cases = await lines<Case>(CASES);
  const before = await answers(folder, "base", cases, undefined);
  const after = await answers(folder, framework, cases, join(folder, framework, "output", "model"));
  const changed = cases.filter(({ id }) => before.get(id) !== after.get(id)).length;
  holds(changed > 0, "the answers change");
  const right = (from: Map<string, string>, { id, expected }: Case) => Number(from.get(id) === expected);
  const units = cases.map((each) => ({ id: each.id, base: right(before, each), head: right(after, each) }));
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
