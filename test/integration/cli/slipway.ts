import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";

const BIN = join(import.meta.dirname, "..", "..", "..", "bin", "slipway.js");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `slipway` as a user does, with a cache folder of its own and none of this process's keys. */
export function start(args: readonly string[], cacheDir: string, env: Record<string, string> = {}): Started {
  const { SLIPWAY_API_KEY: _, SLIPWAY_ALLOWED_HOSTS: __, ...inherited } = process.env;
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...inherited, SLIPWAY_CACHE_DIR: cacheDir, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { ended, kill: (signal) => void child.kill(signal) };
}

/** A folder that is removed at the end of its scope. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "slipway-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function write(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

const run = promisify(execFile);

/** Commits everything in the folder; makes it a repository first where it is none. Answers the commit. */
export async function commit(folder: string, message: string): Promise<string> {
  const git = async (...args: string[]) =>
    (await run("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: folder }))
      .stdout;
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", message);
  return (await git("rev-parse", "HEAD")).trim();
}

export const manifest = (kind: string, name: string, spec: object): string =>
  stringify({ apiVersion: "slipway.dev/v1alpha1", kind, metadata: { name }, spec });

export const promptFile = (text: string): string =>
  manifest("PromptTemplate", "p", {
    messages: [{ role: "user", content: `${text}: {{q}}` }],
    variables: [{ name: "q" }],
  });

export const modelFile = (baseURL: string, more: object = {}): string =>
  manifest("ModelDeployment", "m", { type: "External", external: { baseURL, model: "m-1", ...more } });

/** @param cases how many; each wants the answer `yes` */
export const suiteFile = (cases: number, gate: object, more: object = {}): string =>
  manifest("EvalSuite", "s", {
    targets: [{ name: "main", promptRef: { name: "p" }, modelRef: { name: "m" } }],
    cases: {
      inline: Array.from({ length: cases }, (_, i) => ({ id: `c${i}`, vars: { q: `question ${i}` } })),
    },
    assert: [{ type: "equals", value: "yes" }],
    gates: [{ name: "quality", ...gate }],
    budget: { maxRetries: 0 },
    ...more,
  });
