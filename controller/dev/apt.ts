import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { SlipwayError } from "../errors.ts";
import type { CacheOptions } from "./cache.ts";
import { withLock } from "./lock.ts";
import { cacheRoot } from "./paths.ts";

const run = promisify(execFile);

/** A file of the system, and Debian's package with it. */
export type SystemFile = readonly [path: string, debianPackage: string];

/** What is to be there, and what is said where it is not. */
export interface SystemNeeds {
  readonly files: readonly SystemFile[];
  /** Of the error. */
  readonly code: string;
  /** What else would help. */
  readonly otherwise?: string;
}

/** Runs apt-get without questions. */
async function aptGet(args: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", args, { env, maxBuffer: 16 << 20 });
}

/** apt lets a second run wait for packages, and not for the lists. */
function alone<T>(options: CacheOptions, work: () => Promise<T>): Promise<T> {
  return withLock(join(options.root ?? cacheRoot(), "apt.lock"), { ...options, subject: "apt" }, work);
}

const update = () => aptGet(["update", "-qq"]);

/** Reads Debian's lists of packages anew. */
export const aptUpdate = (options: CacheOptions): Promise<void> => alone(options, update);

/**
 * Sees to files of the system: on Debian, as root, the packages of those that are missing are installed.
 * @throws SlipwayError `code` with what to install
 */
export async function requireSystemFiles(
  { files, code, otherwise }: SystemNeeds,
  options: CacheOptions,
): Promise<void> {
  if ((await missingPackages(files)).length === 0) return;
  await alone(options, async () => {
    const missing = await missingPackages(files);
    if (missing.length === 0) return;
    const install = ["install", "-y", "-qq", "--no-install-recommends", ...missing];
    options.report(`installing ${missing.join(", ")}`);
    await update()
      .then(() => aptGet(install))
      .catch((cause: unknown) => {
        const byHand = `install by hand: apt-get install ${missing.join(" ")}`;
        throw new SlipwayError(code, `${missing.join(", ")} could not be installed`, {
          cause,
          hint: otherwise === undefined ? byHand : `${byHand}; or ${otherwise}`,
        });
      });
  });
  const still = await missingPackages(files);
  if (still.length > 0)
    throw new SlipwayError(code, `${still.join(", ")} is installed but not where Debian puts it`, {
      ...(otherwise === undefined ? {} : { hint: otherwise }),
    });
}

async function missingPackages(files: readonly SystemFile[]): Promise<string[]> {
  const missing: string[] = [];
  for (const [path, name] of files) await access(path).catch(() => missing.push(name));
  return missing;
}

/** A package's file as Debian's lists have it now. */
export interface DebianFile {
  readonly version: string;
  /** Of the file's content, hex. */
  readonly digest: string;
}

/** @throws Error where the lists do not have the package, as on a fresh machine */
export async function debianFile(name: string): Promise<DebianFile> {
  // A file that lies in the working directory already would not be told of.
  const { stdout } = await run("apt-get", ["download", "--print-uris", name], { cwd: "/" });
  const [, version, digest] = /^'\S+' [^_\s]+_([^_\s]+)_\S+ \d+ \w+:([0-9a-f]+)$/m.exec(stdout) ?? [];
  if (version === undefined || digest === undefined)
    throw new Error(`apt-get does not say where ${name} is: ${stdout.slice(0, 200)}`);
  return { version, digest };
}

/** Downloads a package and unpacks it below a folder; nothing is installed. */
export async function unpackDebian(name: string, folder: string): Promise<void> {
  await run("apt-get", ["download", "-qq", name], { cwd: folder });
  await run("sh", ["-c", "dpkg-deb -x *.deb root && rm *.deb"], { cwd: folder });
}
