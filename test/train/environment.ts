import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { artifactPath, cached, digestFiles } from "../../controller/dev/cache.ts";
import { requirePython } from "../../controller/dev/images/trainer-image.ts";
import { ensureWeights } from "../../controller/dev/model/weights.ts";

export const ROOT = join(import.meta.dirname, "..", "..");
export const TRAINER = join(ROOT, "workers", "trainer");

export type Framework = "torch" | "tensorflow";

const report = (text: string) => console.error(text);
const GIVEN = {
  torch: "SLIPWAY_TRAIN_TORCH",
  tensorflow: "SLIPWAY_TRAIN_TENSORFLOW",
  mlflow: "SLIPWAY_MLFLOW",
  dev: "SLIPWAY_TRAIN_DEV",
} as const;
/** Their environments have what checks and tests need beside it. */
const FRAMEWORKS: ReadonlySet<string> = new Set<Framework>(["torch", "tensorflow"]);

/** Python 3.11 or later that can make environments; on Debian it is installed where it is missing. */
export async function ensurePython(): Promise<void> {
  const asks = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))";
  const ask = () => promisify(execFile)(process.env.PYTHON ?? "python3", ["-c", asks]);
  await ask().catch(async () => {
    await requirePython({ report });
    await ask();
  });
}

/**
 * The Python of a framework's environment, of MLflow's, or of one with what checks and tests need and nothing else:
 * from the lock files, cached, or named by a variable.
 */
export async function python(set: keyof typeof GIVEN): Promise<string> {
  const given = process.env[GIVEN[set]];
  if (given) return join(given, "bin", "python");
  const install = join(TRAINER, "install.sh");
  const locks = [...new Set([`${set}.txt`, "dev.txt"])].map((name) => join(TRAINER, "requirements", name));
  const inputs = await digestFiles([install, join(TRAINER, "cpu_only.py"), ...locks], TRAINER);
  const artifact = { name: `train-${set}`, version: "python3", inputs };
  const folder = await cached(artifact, { report }, async (draft) => {
    await ensurePython();
    report(`installing ${set}: ${set === "dev" ? "a minute" : "some minutes"}`);
    const log = join(draft, "log");
    await run(install, [set, join(draft, "env"), ...(FRAMEWORKS.has(set) ? ["dev"] : [])], log);
    // Commands begin with the path of their Python, which is where this folder will be.
    const moved = 'grep -rlI "$0" "$0/env/bin" | xargs -r sed -i "s#$0#$1#g"';
    await run("sh", ["-c", moved, draft, artifactPath(artifact)], log);
  });
  return join(folder, "env", "bin", "python");
}

/** The base model as the trainer names it. */
export async function baseModel(): Promise<{ folder: string; file: string }> {
  const weights = await ensureWeights({ report });
  const at = weights.lastIndexOf("/");
  return { folder: weights.slice(0, at), file: weights.slice(at + 1) };
}

/** Waiting threads give way: on a shared machine spinning ones take the time that others need. */
export const PYTHON_ENVIRONMENT = {
  ...process.env,
  OMP_WAIT_POLICY: "passive",
  PYTHONDONTWRITEBYTECODE: "1",
};

/** Runs a program, its output also into a file; returns that. @throws Error when it fails, naming the file */
export async function run(
  program: string,
  args: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  await mkdir(join(log, ".."), { recursive: true });
  const child = spawn(program, args, {
    cwd: TRAINER,
    env: { ...PYTHON_ENVIRONMENT, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const file = createWriteStream(log, { flags: "a" });
  child.stderr.pipe(file, { end: false });
  child.stdout.pipe(file, { end: false });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  file.end();
  if (code !== 0) throw new Error(`${program} ended with status ${code}: see ${log}`);
  return output;
}
