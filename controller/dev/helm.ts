import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { downloadElse, goArch, KUBERNETES_VERSION } from "./binaries.ts";
import { type CacheOptions, cached, digestFiles } from "./cache.ts";
import { checksumFor, Downloader } from "./download.ts";
import { goBuild, goInputs } from "./go-build.ts";
import { buildModule } from "./paths.ts";

const run = promisify(execFile);

/** The version pinned by `build/helm/go.mod`; a test compares them. */
export const HELM_VERSION = "3.19.0";

const [MAJOR, MINOR] = KUBERNETES_VERSION.split(".");
// Helm compares a chart's kubeVersion with these where it has no cluster to ask.
const VARIABLES = [
  ["internal/version.version", `v${HELM_VERSION}`],
  ["pkg/chartutil.k8sVersionMajor", MAJOR],
  ["pkg/chartutil.k8sVersionMinor", MINOR],
].map(([name, value]) => `helm.sh/helm/v3/${name}=${value}`);

/** The `helm` program: from the cache, else the official release, else compiled from Go modules. */
export async function helmBinary(options: CacheOptions): Promise<string> {
  const module = buildModule("helm");
  const files = ["go.mod", "go.sum"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs({ variables: VARIABLES }));
  const folder = await cached({ name: "helm", version: HELM_VERSION, inputs }, options, async (draft) => {
    const bin = join(draft, "bin");
    await downloadElse(
      bin,
      options,
      () => download(bin, options),
      () =>
        goBuild({
          ...options,
          title: `Helm ${HELM_VERSION}`,
          module,
          pkg: "helm.sh/helm/v3/cmd/helm",
          owner: draft,
          output: join(bin, "helm"),
          variables: VARIABLES,
        }),
    );
  });
  return join(folder, "bin", "helm");
}

async function download(bin: string, options: CacheOptions): Promise<void> {
  await using downloader = new Downloader(options);
  const platform = `${process.platform}-${goArch()}`;
  const name = `helm-v${HELM_VERSION}-${platform}.tar.gz`;
  const sha256 = checksumFor(name, await downloader.text(`https://get.helm.sh/${name}.sha256sum`));
  const archive = join(bin, "helm.tar.gz");
  await downloader.save(`https://get.helm.sh/${name}`, archive, sha256, 0o644);
  await run("tar", [
    "-xzf",
    archive,
    "-C",
    bin,
    "--strip-components=1",
    "--no-same-owner",
    `${platform}/helm`,
  ]);
  await rm(archive);
}
