import { existsSync } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { SlipwayError } from "../errors.ts";

/** Where downloaded and compiled programs are kept: `SLIPWAY_CACHE_DIR`, else the XDG cache folder. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.SLIPWAY_CACHE_DIR || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "slipway"));
}

/** Where running clusters and forges keep their state: `SLIPWAY_STATE_DIR`, else the XDG state folder. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(
    env.SLIPWAY_STATE_DIR || join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "slipway"),
  );
}

/** Creates a private folder (0700) and answers its path without symbolic links. */
export async function privateFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return realpath(path);
}

/**
 * The folder of a Go build module (`kubernetes`, `gitea`) that is shipped with the package, whether
 * this file runs from the sources or compiled from `dist/`.
 */
export function buildModule(name: string): string {
  const candidates = [
    join(import.meta.dirname, "build", name),
    join(import.meta.dirname, "..", "..", "..", "controller", "dev", "build", name),
  ];
  const found = candidates.find((folder) => existsSync(join(folder, "go.mod")));
  if (found === undefined) {
    throw new SlipwayError(
      "BuildModuleMissing",
      `the build module "${name}" is not in ${candidates.join(" or ")}`,
      {
        hint: "reinstall the slipway package; its files are incomplete",
      },
    );
  }
  return found;
}

/** Names of clusters and forges become folder and context names. */
export function checkName(name: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(name)) {
    throw new SlipwayError("InvalidName", `"${name}" cannot be the name of a local cluster or forge`, {
      hint: "use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends",
    });
  }
  return name;
}
