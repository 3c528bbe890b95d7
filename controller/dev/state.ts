import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { withLock } from "./lock.ts";
import { checkName, privateFolder, stateRoot } from "./paths.ts";
import { stopDaemons } from "./process.ts";
import type { Report } from "./progress.ts";

/** What is kept running for a user, each in a folder of its own: `<state root>/<kind>/<name>`. */
export type InstanceKind = "clusters" | "forges" | "demos";

export interface InstanceOptions {
  readonly name: string;
  /** `SLIPWAY_STATE_DIR` or the XDG state folder unless given. */
  readonly stateDir?: string | undefined;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `work` on one cluster's or forge's folder while nobody else does; the folder may not exist yet. */
export async function withInstance<T>(
  kind: InstanceKind,
  { name, stateDir, report, signal }: InstanceOptions,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  checkName(name);
  const parent = await privateFolder(join(stateDir ?? stateRoot(), kind));
  const subject = `the ${kind.slice(0, -1)} "${name}"`;
  return withLock(join(parent, `.${name}.lock`), { subject, report, signal }, () => work(join(parent, name)));
}

/** The folder of an instance, without waiting for who works on it. */
export async function instanceFolder(kind: InstanceKind, name: string, stateDir?: string): Promise<string> {
  return join(await privateFolder(join(stateDir ?? stateRoot(), kind)), checkName(name));
}

/** Names of the instances that have a folder. */
export async function instanceNames(kind: InstanceKind, stateDir: string = stateRoot()): Promise<string[]> {
  const entries = await readdir(join(stateDir, kind), { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The state file of a folder, or undefined when there is none that this version understands. */
export async function readState<T extends z.ZodType>(
  folder: string,
  schema: T,
): Promise<z.infer<T> | undefined> {
  const text = await readFile(join(folder, "state.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Replaces the state file in one step. */
export async function writeState(folder: string, state: unknown): Promise<void> {
  const path = join(folder, "state.json");
  await writeFile(`${path}.draft`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.draft`, path);
}

/** Ends everything that runs for a folder and removes it, the state file last, so that a crash can be resumed. */
export async function removeInstance(folder: string): Promise<void> {
  await stopDaemons(folder);
  for (const entry of await readdir(folder).catch(() => [])) {
    if (entry !== "state.json") await rm(join(folder, entry), { recursive: true, force: true });
  }
  await rm(folder, { recursive: true, force: true });
}
