import { execFile } from "node:child_process";
import { cp, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeError, SlipwayError } from "../errors.ts";
import { type CacheOptions, cached, digestFiles } from "./cache.ts";
import { checksumFor, Downloader } from "./download.ts";
import { GO_ENVIRONMENT, goBuild, goInputs } from "./go-build.ts";
import { buildModule } from "./paths.ts";

const run = promisify(execFile);

/** The versions pinned by the go.mod files under `build/`; a test compares them. */
export const KUBERNETES_VERSION = "1.34.4";
export const ETCD_VERSION = "3.6.4";
export const GITEA_VERSION = "1.25.5";

/** Programs of the control plane, by the name each is called by. */
const PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"] as const;
export type ControlPlaneProgram = (typeof PROGRAMS)[number];

export const KUBERNETES_VARIABLES = [
  ["gitVersion", `v${KUBERNETES_VERSION}`],
  ["gitMajor", KUBERNETES_VERSION.split(".")[0]],
  ["gitMinor", KUBERNETES_VERSION.split(".")[1]],
].map(([name, value]) => `k8s.io/component-base/version.${name}=${value}`);

const GITEA_BUILD = {
  tags: ["sqlite", "sqlite_unlock_notify"],
  variables: [`main.Version=${GITEA_VERSION}`],
};

/**
 * The folder with etcd, kube-apiserver, kube-controller-manager and kubectl: from the cache, else the
 * official releases, else compiled from Go modules.
 */
export async function controlPlaneBinaries(options: CacheOptions): Promise<string> {
  const module = buildModule("kubernetes");
  const files = ["go.mod", "go.sum", "main.go"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs({ variables: KUBERNETES_VARIABLES }));
  const artifact = { name: "kubernetes", version: KUBERNETES_VERSION, inputs };
  const folder = await cached(artifact, options, async (draft) => {
    const bin = join(draft, "bin");
    await downloadElse(
      bin,
      options,
      () => downloadControlPlane(bin, options),
      async () => {
        await goBuild({
          ...options,
          title: `Kubernetes ${KUBERNETES_VERSION}`,
          module,
          pkg: ".",
          owner: draft,
          output: join(bin, "kube"),
          variables: KUBERNETES_VARIABLES,
        });
        for (const program of PROGRAMS) await symlink("kube", join(bin, program));
      },
    );
  });
  return join(folder, "bin");
}

export interface GiteaBinary {
  readonly program: string;
  /** Gitea's STATIC_ROOT_PATH: templates and options, which a release has inside the program. */
  readonly staticRoot: string;
}

/** Gitea: from the cache, else the official release, else compiled from Go modules with its templates copied. */
export async function giteaBinary(options: CacheOptions): Promise<GiteaBinary> {
  const module = buildModule("gitea");
  const files = ["go.mod", "go.sum"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs(GITEA_BUILD));
  const artifact = { name: "gitea", version: GITEA_VERSION, inputs };
  const folder = await cached(artifact, options, async (draft) => {
    const bin = join(draft, "bin");
    const staticRoot = join(draft, "static");
    await mkdir(staticRoot);
    await downloadElse(
      bin,
      options,
      () => downloadGitea(bin, options),
      async () => {
        const pkg = "code.gitea.io/gitea";
        await goBuild({
          ...options,
          ...GITEA_BUILD,
          title: `Gitea ${GITEA_VERSION}`,
          module,
          pkg,
          owner: draft,
          output: join(bin, "gitea"),
        });
        const { stdout } = await run("go", ["list", "-m", "-f", "{{.Dir}}", pkg], {
          cwd: module,
          env: { ...process.env, ...GO_ENVIRONMENT },
        });
        // Go's module cache is read-only and may be emptied at any time.
        for (const part of ["templates", "options", "public"]) {
          await cp(join(stdout.trim(), part), join(staticRoot, part), { recursive: true });
        }
        await run("chmod", ["-R", "u+w", staticRoot]);
      },
    );
  });
  return { program: join(folder, "bin", "gitea"), staticRoot: join(folder, "static") };
}

/** Fills `bin` with the official release, or by compiling when it cannot be had. */
export async function downloadElse(
  bin: string,
  { report, signal }: CacheOptions,
  download: () => Promise<void>,
  build: () => Promise<void>,
): Promise<void> {
  await mkdir(bin, { recursive: true });
  try {
    await download();
    return;
  } catch (error) {
    signal?.throwIfAborted();
    // A file that was tampered with is not a reason to go on quietly by another way.
    if (error instanceof SlipwayError && error.code === "ChecksumMismatch") throw error;
    report(`no release binaries (${describeError(error)}); compiling them instead`);
  }
  await rm(bin, { recursive: true, force: true });
  await mkdir(bin, { recursive: true });
  await build();
}

/** The platform's name in the releases of Go programs. */
export function goArch(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

function requireLinux(what: string): void {
  if (process.platform !== "linux") {
    throw new SlipwayError("NoRelease", `${what} is released for Linux only`);
  }
}

async function downloadControlPlane(bin: string, options: CacheOptions): Promise<void> {
  requireLinux("the Kubernetes API server");
  await using downloader = new Downloader(options);
  for (const program of PROGRAMS.filter((name) => name !== "etcd")) {
    const url = `https://dl.k8s.io/v${KUBERNETES_VERSION}/bin/linux/${goArch()}/${program}`;
    const sha256 = checksumFor(program, await downloader.text(`${url}.sha256`));
    await downloader.save(url, join(bin, program), sha256);
  }
  const name = `etcd-v${ETCD_VERSION}-linux-${goArch()}`;
  const release = `https://github.com/etcd-io/etcd/releases/download/v${ETCD_VERSION}`;
  const sha256 = checksumFor(`${name}.tar.gz`, await downloader.text(`${release}/SHA256SUMS`));
  const archive = join(bin, "etcd.tar.gz");
  await downloader.save(`${release}/${name}.tar.gz`, archive, sha256, 0o644);
  const strip = ["--strip-components=1", "--no-same-owner"];
  await run("tar", ["-xzf", archive, "-C", bin, ...strip, `${name}/etcd`]);
  await rm(archive);
}

async function downloadGitea(bin: string, options: CacheOptions): Promise<void> {
  await using downloader = new Downloader(options);
  const system = process.platform === "darwin" ? "darwin-10.12" : process.platform;
  const name = `gitea-${GITEA_VERSION}-${system}-${goArch()}`;
  const url = `https://dl.gitea.com/gitea/${GITEA_VERSION}/${name}`;
  const sha256 = checksumFor(name, await downloader.text(`${url}.sha256`));
  await downloader.save(url, join(bin, "gitea"), sha256);
}
