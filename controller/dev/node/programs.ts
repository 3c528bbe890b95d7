import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError } from "../../errors.ts";
import { requireSystemFiles, type SystemFile } from "../apt.ts";
import { downloadElse, goArch, KUBERNETES_VARIABLES, KUBERNETES_VERSION } from "../binaries.ts";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import { checksumFor, Downloader } from "../download.ts";
import { goBuild, goInputs } from "../go-build.ts";
import { buildModule } from "../paths.ts";

/** The version pinned by `build/dns/go.mod`; a test compares them. */
export const COREDNS_VERSION = "1.14.7";

const PROGRAMS = ["kubelet", "kube-proxy", "kube-scheduler"] as const;

/** The folder with kubelet, kube-proxy and kube-scheduler. */
export async function nodeBinaries(options: CacheOptions): Promise<string> {
  const module = buildModule("node");
  const files = ["go.mod", "go.sum", "main.go"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs({ variables: KUBERNETES_VARIABLES }));
  const artifact = { name: "kubernetes-node", version: KUBERNETES_VERSION, inputs };
  const folder = await cached(artifact, options, async (draft) => {
    const bin = join(draft, "bin");
    await downloadElse(
      bin,
      options,
      () => downloadPrograms(bin, options),
      async () => {
        await goBuild({
          ...options,
          title: `the node of Kubernetes ${KUBERNETES_VERSION}`,
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

/** CoreDNS with the plugins of `build/dns`; it has no release with these alone, so it is compiled. */
export async function dnsBinary(options: CacheOptions): Promise<string> {
  const module = buildModule("dns");
  const files = ["go.mod", "go.sum", "main.go"].map((file) => join(module, file));
  const build = { variables: [] };
  const artifact = {
    name: "coredns",
    version: COREDNS_VERSION,
    inputs: await digestFiles(files, ...goInputs(build)),
  };
  const folder = await cached(artifact, options, (draft) =>
    goBuild({
      ...options,
      ...build,
      title: `CoreDNS ${COREDNS_VERSION}`,
      module,
      pkg: ".",
      owner: draft,
      output: join(draft, "coredns"),
    }),
  );
  return join(folder, "coredns");
}

async function downloadPrograms(bin: string, options: CacheOptions): Promise<void> {
  await using downloader = new Downloader(options);
  for (const program of PROGRAMS) {
    const url = `https://dl.k8s.io/v${KUBERNETES_VERSION}/bin/linux/${goArch()}/${program}`;
    const sha256 = checksumFor(program, await downloader.text(`${url}.sha256`));
    await downloader.save(url, join(bin, program), sha256);
  }
}

/** What a node needs of the system. */
const SYSTEM: readonly SystemFile[] = [
  ["/usr/bin/containerd", "containerd"],
  ["/usr/sbin/runc", "runc"],
  ["/usr/lib/cni/bridge", "containernetworking-plugins"],
  ["/usr/sbin/iptables", "iptables"],
  ["/usr/sbin/conntrack", "conntrack"],
  ["/usr/sbin/ip", "iproute2"],
  ["/usr/sbin/sysctl", "procps"],
  ["/usr/sbin/mkfs.ext4", "e2fsprogs"],
  ["/usr/bin/openssl", "openssl"],
  ["/bin/busybox", "busybox-static"],
];

/** Where Debian's package keeps the network plugins. */
export const CNI_BIN = "/usr/lib/cni";

/**
 * Sees to the system's programs: on Debian, as root, the missing ones are installed.
 * @throws SlipwayError NodeUnavailable with what to install, or why there can be no node here
 */
export async function requireSystemPrograms(options: CacheOptions): Promise<void> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new SlipwayError("NodeUnavailable", "a local node needs Linux and root", {
      hint: "use kind (https://kind.sigs.k8s.io) or name a cluster with --kubeconfig",
    });
  }
  await requireSystemFiles({ files: SYSTEM, code: "NodeUnavailable" }, options);
}
