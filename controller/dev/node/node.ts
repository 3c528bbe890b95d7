import { execFile } from "node:child_process";
import { copyFile, link, mkdir, mkdtemp, open, rm, stat, statfs, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { SlipwayError } from "../../errors.ts";
import type { Daemon } from "../process.ts";
import type { Report } from "../progress.ts";
import {
  cniConfig,
  containerdConfig,
  corefile,
  kubeletConfig,
  NODE_NAME,
  PAUSE_IMAGE,
  proxyConfig,
} from "./config.ts";
import {
  type ImageSpec,
  layerDigests,
  writeImage,
  writeImageWithoutLayers,
  writeLayer,
} from "./image-tar.ts";
import { type NodeNamespace, runInside, startInside, VOLUMES } from "./namespace.ts";
import { CNI_BIN } from "./programs.ts";

const run = promisify(execFile);

export interface StartNodeOptions {
  readonly folder: string;
  readonly namespace: NodeNamespace;
  /** Folders of kubelet and the rest, and of kubectl; the program CoreDNS. */
  readonly programs: { readonly node: string; readonly kubectl: string; readonly dns: string };
  /** Kubeconfigs by user. */
  readonly kubeconfigs: Readonly<Record<"admin" | "kubelet" | "proxy" | "scheduler" | "dns", string>>;
  readonly clientCA: string;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

const READY_TIMEOUT_MS = 60_000;

interface UntilOptions extends Pick<StartNodeOptions, "report" | "signal"> {
  readonly timeoutMs?: number;
}

/** What the cluster needs before pods run: who CoreDNS is, and volumes on the host's disk. */
const OBJECTS = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "slipway-dns" },
    rules: [
      {
        apiGroups: [""],
        resources: ["services", "namespaces", "pods", "endpoints"],
        verbs: ["list", "watch"],
      },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "slipway-dns" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "slipway-dns" },
    subjects: [{ kind: "User", name: "slipway-dns", apiGroup: "rbac.authorization.k8s.io" }],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "local", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "kubernetes.io/host-path",
    reclaimPolicy: "Delete",
  },
];

/** Starts the container runtime, the kubelet, the service proxy, the scheduler and DNS, and waits for the node. */
export async function startNode(options: StartNodeOptions): Promise<Daemon[]> {
  const { folder, namespace, programs, kubeconfigs, clientCA, report, signal } = options;
  const { network, pid } = namespace;
  const daemons: Daemon[] = [];
  const start = async (name: string, program: string, args: string[], env: Record<string, string> = {}) => {
    signal?.throwIfAborted();
    report(`starting ${name}`);
    const path = process.env.PATH ?? "";
    daemons.push(
      await startInside(namespace, {
        folder,
        name,
        program,
        args,
        env: { ...env, PATH: `${path}:/usr/sbin` },
      }),
    );
  };
  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  await mkdir(join(folder, "cni"), { recursive: true });
  await mkdir(join(folder, "volumes"), { recursive: true });
  await file("cni/10-pods.conflist", cniConfig(network));
  // The controller manager makes volumes in this folder alone.
  await runInside(pid, "sh", ["-c", `mkdir -p ${VOLUMES} && mount --bind '${folder}/volumes' ${VOLUMES}`]);

  await diskForImages(pid, folder).catch((error: Error) =>
    report(`images are unpacked on this machine's own disk, which takes longer: ${error.message}`),
  );
  await start("containerd", "/usr/bin/containerd", [
    "--config",
    await file("containerd.toml", containerdConfig(folder, CNI_BIN)),
  ]);
  await until("containerd", options, () => containerCommand(pid, ["version"]));
  await importImage(pid, await pauseImage(folder));

  const kubelet = await file("kubelet.yaml", kubeletConfig(network, clientCA));
  await start("kube-scheduler", join(programs.node, "kube-scheduler"), [
    `--kubeconfig=${kubeconfigs.scheduler}`,
    "--secure-port=0",
    "--leader-elect=false",
  ]);
  await start("kubelet", join(programs.node, "kubelet"), [
    `--config=${kubelet}`,
    `--kubeconfig=${kubeconfigs.kubelet}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${network.nodeIP}`,
    `--root-dir=${folder}/kubelet`,
    `--cert-dir=${folder}/certs/kubelet`,
  ]);
  const proxy = await file("kube-proxy.yaml", proxyConfig(network, kubeconfigs.proxy));
  await start("kube-proxy", join(programs.node, "kube-proxy"), [`--config=${proxy}`]);
  await start("coredns", programs.dns, ["-conf", await file("Corefile", corefile(network, kubeconfigs.dns))]);

  const objects = await file("node-objects.yaml", OBJECTS.map((object) => stringify(object)).join("---\n"));
  // A cache of its own: what it finds now would hide later CRDs from the operator's kubectl for hours.
  const env = { ...process.env, KUBECACHEDIR: join(folder, "kubectl-cache") };
  const kubectl = (...args: string[]) =>
    run(join(programs.kubectl, "kubectl"), [`--kubeconfig=${kubeconfigs.admin}`, ...args], { env });
  await kubectl("apply", "-f", objects);
  await until("the node", options, async () => {
    const { stdout } = await kubectl(
      "get",
      "node",
      NODE_NAME,
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    );
    if (stdout !== "True") throw new Error(`the node's condition Ready is ${stdout || "unknown"}`);
  });
  return daemons;
}

/**
 * Gives unpacked images a file system of their own, in a file that takes what is written to it. On ext4 with a journal,
 * each of their tens of thousands of files would have to step over those which earlier nodes removed in the last
 * minutes (`recently_deleted` in the kernel's fs/ext4/ialloc.c), seen to make the unpacking ten times slower. It goes
 * with the node's namespaces and its folder. Its size is what this disk has free now: a promise, as two nodes may have
 * the same one.
 */
async function diskForImages(pid: number, folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const file = join(folder, "images.ext4");
  const snapshots = join(folder, "containerd", "io.containerd.snapshotter.v1.overlayfs");
  await mkdir(snapshots, { recursive: true });
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.truncate(bavail * bsize);
  } finally {
    await handle.close();
  }
  await runInside(pid, "/usr/sbin/mkfs.ext4", ["-q", "-F", "-m", "0", "-O", "^has_journal", file]);
  // Nobody mounts it a second time, so nothing in it has to reach the disk.
  await runInside(pid, "mount", ["-o", "loop,nobarrier,noatime,noinit_itable", file, snapshots]);
}

/** Brings an image (`docker save` or OCI layout, as a tar) to a node's container runtime. */
export async function importImage(pid: number, file: string): Promise<void> {
  await containerCommand(pid, ["images", "import", "--all-platforms", file]);
}

/**
 * The same from layers that are files already: the runtime gets links to them instead of copies, and gives them back
 * once they are unpacked, because nobody pushes from here. One image at a time in a node: those of two at once may
 * share a layer.
 */
export async function importLayers(pid: number, spec: ImageSpec): Promise<void> {
  const digests = await layerDigests(spec);
  const layers = new Map(digests.map((digest, i) => [digest, spec.layers[i]!]));
  const folder = await mkdtemp(join(tmpdir(), "slipway-image-"));
  try {
    const file = join(folder, "image.tar");
    await writeImageWithoutLayers(file, spec);
    // First by name alone: what no image refers to is garbage to the runtime, and it may collect at any time.
    await containerCommand(pid, ["images", "import", "--all-platforms", "--no-unpack", file]);
    const store = await contentStore(pid);
    for (const [digest, layer] of layers) await lendLayer(pid, store, digest, layer);
    await importImage(pid, file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await containerCommand(pid, ["content", "rm", ...[...layers.keys()].map((digest) => `sha256:${digest}`)]);
}

/** Where the runtime keeps what was pulled or imported. */
async function contentStore(pid: number): Promise<string> {
  const said = await containerCommand(pid, ["plugins", "ls", "--detailed", "id==content"]);
  const [, root] = /^\s*root\s+(\/.*\S)\s*$/m.exec(said) ?? [];
  if (root === undefined)
    throw new SlipwayError("ContainerRuntime", `containerd does not say where its content is: ${said}`);
  return root;
}

/**
 * A blob that lies in the store already is taken up without being written again: containerd's ContentSharingPolicy
 * "shared", its default (https://pkg.go.dev/github.com/containerd/containerd/metadata/plugin#BoltConfig).
 */
async function lendLayer(pid: number, store: string, digest: string, layer: string): Promise<void> {
  const blobs = join(store, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  await link(layer, join(blobs, digest)).catch((error: NodeJS.ErrnoException) => {
    // On another disk, or one without links, it is written.
    if (!["EEXIST", "EXDEV", "EPERM"].includes(error.code ?? "")) throw error;
  });
  const name = `sha256:${digest}`;
  const { size } = await stat(layer);
  const ingest =
    'exec ctr --namespace=k8s.io content ingest --expected-size="$1" --expected-digest="$2" "$2" < "$3"';
  await runtime("ctr content ingest", pid, "sh", ["-c", ingest, "sh", String(size), name, layer]);
}

const containerCommand = (pid: number, args: readonly string[]) =>
  runtime(`ctr ${args.join(" ")}`, pid, "ctr", ["--namespace=k8s.io", ...args]);

async function runtime(what: string, pid: number, program: string, args: readonly string[]): Promise<string> {
  return runInside(pid, program, args).catch((cause: unknown) => {
    throw new SlipwayError(
      "ContainerRuntime",
      `${what} failed: ${String((cause as Error).message).slice(-2000)}`,
      { cause },
    );
  });
}

/** Its only process holds a pod's namespaces open and reaps orphans. */
async function pauseImage(folder: string): Promise<string> {
  const root = join(folder, "pause");
  await mkdir(join(root, "bin"), { recursive: true });
  await copyFile("/bin/busybox", join(root, "bin", "busybox"));
  await symlink("busybox", join(root, "bin", "sh")).catch(() => undefined);
  const layer = join(folder, "pause-layer.tar");
  await writeLayer(layer, root);
  const image = join(folder, "pause.tar");
  const script = "trap 'exit 0' TERM INT; while :; do /bin/busybox sleep 3600 & wait $!; done";
  await writeImage(image, { name: PAUSE_IMAGE, layers: [layer], entrypoint: ["/bin/sh", "-c", script] });
  await rm(root, { recursive: true });
  await rm(layer);
  return image;
}

/**
 * Waits until a check throws no more.
 * @throws SlipwayError NotReady
 */
export async function until(
  what: string,
  { report, signal, timeoutMs = READY_TIMEOUT_MS }: UntilOptions,
  check: () => Promise<unknown>,
): Promise<void> {
  const started = Date.now();
  for (;;) {
    signal?.throwIfAborted();
    try {
      await check();
      return;
    } catch (cause) {
      const elapsed = Date.now() - started;
      if (elapsed > timeoutMs) {
        throw new SlipwayError("NotReady", `${what} is not ready after ${Math.round(elapsed / 1000)} s`, {
          cause,
          hint: "see the folder logs of the cluster",
        });
      }
      report(`waiting for ${what}: ${Math.round(elapsed / 1000)} s`);
      await sleep(200, undefined, { signal });
    }
  }
}
