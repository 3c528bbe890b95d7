import { mkdir } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { cacheRoot } from "../../controller/dev/paths.ts";
import { compare, equalLogits } from "./comparing.ts";
import { python, ROOT, run, TRAINER } from "./environment.ts";
import { tensorflowOnNode, torchOnNode } from "./on-node.ts";
import { runFolder } from "./run-folder.ts";
import { decontaminated, train } from "./training.ts";

/*
 * `npm run test:train [-- STEP…]`: the trainer's own checks, and real trainings of a real small model with both
 * frameworks. Each step prints one JSON line; what a step has made is kept in SLIPWAY_TRAIN_DIR, in a folder for what
 * it is made from, so that steps can be run one at a time, and one that was cut off goes on.
 */
const environmentOf = (interpreter: string) => join(interpreter, "..", "..");
const folder = await runFolder(process.env.SLIPWAY_TRAIN_DIR ?? join(cacheRoot(), "train-runs"), ROOT);

const STEPS: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
  checks: async () => {
    const torch = await python("torch");
    const tensorflow = await python("tensorflow");
    const environments = {
      SLIPWAY_MLFLOW: environmentOf(await python("mlflow")),
      SLIPWAY_TRAIN_TENSORFLOW: environmentOf(tensorflow),
    };
    const log = join(folder, "checks.log");
    await run(torch, ["-m", "ruff", "check", "."], log);
    await run(torch, ["-m", "ruff", "format", "--check", "."], log);
    await run(torch, ["-m", "mypy"], log);
    await run(torch, ["-m", "pytest", TRAINER], log, environments);
    await run(tensorflow, ["-m", "pytest", TRAINER], log, environments);
    return { log };
  },
  decontaminated,
  torch: () => train("torch", folder),
  "compare-torch": () => compare("torch", folder),
  tensorflow: () => train("tensorflow", folder),
  "logits-tensorflow": () => equalLogits(folder),
  "compare-tensorflow": () => compare("tensorflow", folder),
  "tensorflow-node": () => tensorflowOnNode(folder),
  "torch-node": torchOnNode,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in STEPS));
if (unknown.length > 0) {
  console.error(`no step ${unknown.join(", ")}; there are ${Object.keys(STEPS).join(", ")}`);
  process.exit(2);
}
await mkdir(folder, { recursive: true });
console.error(`kept in ${folder}`);
let passed = 0;
let failed = 0;
for (const [step, work] of Object.entries(STEPS)) {
  if (wanted.length > 0 && !wanted.includes(step)) continue;
  const started = Date.now();
  try {
    const figures = await work();
    const machine = { cores: availableParallelism(), load: Math.round(loadavg()[0]!) };
    console.log(
      JSON.stringify({ step, ...figures, tookSeconds: Math.round((Date.now() - started) / 1000), machine }),
    );
    passed += 1;
  } catch (error) {
    console.error(`${step} failed: ${error instanceof Error ? error.message : String(error)}`);
    failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
