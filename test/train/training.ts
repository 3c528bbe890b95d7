import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepare } from "../../controller/data/prepare.ts";
import { blobDigest, canonicalJson, type Json } from "../../controller/graph/canonical.ts";
import { datasetSpec } from "../../schemas/dataset.ts";
import { baseModel, type Framework, python, ROOT, run } from "./environment.ts";

export interface Case {
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

export const cases = () => lines<Case>(CASES);

export const lines = async <T>(path: string) =>
  (await readFile(path, "utf8"))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

/** No row gives away a case: the step `decontaminate` of a Dataset drops none. */
export async function decontaminated(): Promise<Record<string, unknown>> {
  const all = await cases();
  const spec = datasetSpec.parse({
    format: "chat",
    sources: [{ name: "rows", files: [{ path: "train.jsonl" }] }],
    steps: [{ name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } }],
  });
  const data = await readFile(ROWS);
  const source = { name: "rows", files: [{ path: "train.jsonl", data }] };
  const texts = new Map([["triage", all.map(({ vars }) => vars.ticket)]]);
  const { read, steps } = await prepare(spec, [source], { cases: texts });
  const dropped = steps.reduce((sum, step) => sum + step.dropped, 0);
  holds(dropped === 0, `${dropped} of ${read} rows hold words of a case`);
  holds(all.length >= 100, "there are 100 held-out cases");
  return { rows: read, cases: all.length, dropped };
}

/** A real training; one that was cut off goes on from its last checkpoint. */
export async function train(framework: Framework, folder: string): Promise<Record<string, unknown>> {
  const own = join(folder, framework);
  const output = join(own, "output");
  const dataset = join(folder, "dataset");
  for (const each of [own, dataset]) await mkdir(each, { recursive: true });
  await writeFile(join(dataset, "train.jsonl"), await readFile(ROWS));
  // Keras reads no GGUF.
  const base = framework === "torch" ? await baseModel() : { folder: await baseSafetensors(folder) };
  const spec = {
    framework,
    method: "sft",
    identity: "test",
    adapter: { r: 16, alpha: 32 },
    baseModel: { source: base.folder, ...("file" in base ? { file: base.file } : {}) },
    dataset: { split: "train" },
    hyperparameters: HYPERPARAMETERS,
  };
  await writeFile(join(own, "spec.json"), JSON.stringify(spec));
  const started = Date.now();
  const kept = existsSync(join(output, "result.json"));
  if (!kept) {
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
    // What was trained before from the same is not trained again, and its time is not known.
    ...(kept ? { kept } : { seconds: Math.round((Date.now() - started) / 1000) }),
    artifact: artifact.digest,
  };
}

/** Where a training has left its adapter. */
export const trainedModel = (framework: Framework, folder: string) =>
  join(folder, framework, "output", "model");

/** The base model as safetensors, which Keras and servers read: made of the GGUF file as the trainer makes it. */
export async function baseSafetensors(folder: string): Promise<string> {
  const work = join(folder, "base");
  const target = join(work, "base-safetensors");
  if (!existsSync(target)) {
    await mkdir(work, { recursive: true });
    const { folder: source, file } = await baseModel();
    const convert = [
      "import sys; from pathlib import Path",
      "from slipway_trainer.base_model import LocalBase, as_safetensors",
      'as_safetensors(LocalBase(Path(sys.argv[1]), sys.argv[2], "", ""), Path(sys.argv[3]))',
    ].join("\n");
    await run(await python("torch"), ["-c", convert, source, file, work], join(work, "log"));
  }
  return target;
}
