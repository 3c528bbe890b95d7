import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SlipwayError } from "../errors.ts";
import type { Report } from "./progress.ts";
import { runGroup } from "./run-group.ts";

const run = promisify(execFile);

export interface GoBuild {
  /** Shown in progress, e.g. `Kubernetes 1.34.4`. */
  readonly title: string;
  /** Folder of the module that pins every dependency. */
  readonly module: string;
  /** Package to build. */
  readonly pkg: string;
  /** Folder that the compilers are marked with, so that a later run finds them after a crash of this one. */
  readonly owner: string;
  /** The program's path. */
  readonly output: string;
  readonly tags?: readonly string[];
  /** `-X` assignments, `package.Variable=value`. */
  readonly variables: readonly string[];
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** Half of the time that C files take at Go's default of `-O2` is spent for speed that nothing here needs. */
const C_FLAGS = "-O1";

/**
 * Settings that keep the surroundings (a workspace file, a vendor flag) out of a build, and let the compilers collect
 * garbage later, each while it has less than 2 GiB.
 */
export const GO_ENVIRONMENT = {
  GOWORK: "off",
  GOFLAGS: "",
  CGO_CFLAGS: C_FLAGS,
  CGO_CXXFLAGS: C_FLAGS,
  GOGC: "400",
  GOMEMLIMIT: "2GiB",
};

/**
 * Flags for a build in which compiling takes longer than the program will ever run: without inlining and without
 * debug information a compiler has a quarter less to do. Without `-trimpath` a package of one version is compiled once for
 * all programs, also where a go.mod replaces the version that it asks for (`buildActionID` in Go's cmd/go).
 */
function goFlags(build: Pick<GoBuild, "tags" | "variables">): string[] {
  const ldflags = ["-s", "-w", ...build.variables.map((assignment) => `-X ${assignment}`)].join(" ");
  return [
    ...["-buildvcs=false", "-gcflags=all=-l -dwarf=false"],
    ...[`-tags=${(build.tags ?? []).join(",")}`, `-ldflags=${ldflags}`],
  ];
}

/** Settings that are part of what a build makes; a change of them changes the artifact's digest. */
export function goInputs(build: Pick<GoBuild, "tags" | "variables">): string[] {
  return [...goFlags(build), C_FLAGS];
}

/**
 * Compiles a program with the installed Go (1.24 or newer; it fetches a newer toolchain by itself when the module asks
 * for one, unless GOTOOLCHAIN forbids that). Minutes when nothing is in Go's own build cache; progress counts packages.
 */
export async function goBuild(build: GoBuild): Promise<void> {
  await requireGo(build);
  const args = ["build", "-v", ...goFlags(build), "-o", build.output, build.pkg];
  const started = Date.now();
  let packages = 0;
  const show = () => {
    const seconds = Math.round((Date.now() - started) / 1000);
    build.report(`compiling ${build.title}: ${packages} packages, ${seconds} s`);
  };
  const ticker = setInterval(show, 1000);
  const tail: string[] = [];
  const onLine = (line: string) => {
    if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(line)) packages++;
    else if (!line.startsWith("go: downloading ")) tail.push(line);
    if (tail.length > 20) tail.shift();
  };
  show();
  try {
    const { module: cwd, owner, signal } = build;
    const code = await runGroup("go", args, { cwd, env: GO_ENVIRONMENT, owner, onLine, signal });
    if (code !== 0) {
      throw new SlipwayError("BuildFailed", `compiling ${build.title} failed:\n${tail.join("\n")}`, {
        hint: "Go needs its module proxy (GOPROXY), from which it also fetches a newer Go that a go.mod asks for, about 6 GB of free disk and, for Gitea, a C compiler",
      });
    }
  } finally {
    clearInterval(ticker);
  }
}

async function requireGo(build: GoBuild): Promise<void> {
  build.signal?.throwIfAborted();
  const { stdout } = await run("go", ["env", "GOVERSION"], {
    env: { ...process.env, ...GO_ENVIRONMENT },
  }).catch((cause: unknown) => {
    throw new SlipwayError("GoMissing", `${build.title} must be compiled here, and Go is not installed`, {
      cause,
      hint: "install Go 1.24 or newer (https://go.dev/dl/; it fetches what a go.mod asks for by itself), or Docker and kind, or name a cluster with --kubeconfig",
    });
  });
  if (!isRecentGo(stdout)) {
    throw new SlipwayError("GoTooOld", `${build.title} needs Go 1.24 or newer, found ${stdout.trim()}`, {
      hint: "install a newer Go from https://go.dev/dl/: from 1.24 on it fetches what a go.mod asks for by itself",
    });
  }
}

/** Whether `go env GOVERSION` names Go 1.24 or newer (development versions count as newer). */
export function isRecentGo(version: string): boolean {
  const match = /^go(\d+)\.(\d+)/.exec(version.trim());
  if (!match) return version.startsWith("devel");
  return Number(match[1]) > 1 || Number(match[2]) >= 24;
}
