import { access, mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { describeError, SlipwayError } from "../errors.ts";
import {
  containerRuntime,
  deleteKind,
  kindInstalled,
  requireKindNameFree,
  startKind,
} from "./cluster-kind.ts";
import { apiReady, FILES, nodeOf, startControlPlane } from "./cluster-local.ts";
import { currentServer, exportKubeconfig, readKubeconfig, removeExportedKubeconfig } from "./kubeconfig.ts";
import { isLocked } from "./lock.ts";
import { type NodeNamespace, removeNodeTraces } from "./node/namespace.ts";
import { probe } from "./probe.ts";
import { recordedDaemons } from "./process.ts";
import { isAlive, residentBytes } from "./process-table.ts";
import type { Report } from "./progress.ts";
import {
  type InstanceOptions,
  instanceFolder,
  instanceNames,
  readState,
  removeInstance,
  withInstance,
  writeState,
} from "./state.ts";

export const DEFAULT_NAME = "slipway";

const State = z.object({
  version: z.literal(1),
  name: z.string(),
  provider: z.enum(["local", "kind"]),
  runtime: z.enum(["docker", "podman"]).optional(),
  phase: z.enum(["starting", "ready"]),
  node: z.boolean().optional(),
  apiURL: z.string().optional(),
  /** Copies of the kubeconfig outside the folder, to be removed with it. */
  exported: z.array(z.string()),
  createdAt: z.string(),
});
type State = z.infer<typeof State>;

export type Provider = "local" | "kind" | "external";

export interface Cluster {
  readonly name: string;
  readonly provider: Provider;
  readonly apiURL: string;
  /** Kubeconfig of an administrator. */
  readonly kubeconfigPath: string;
  /** Kubeconfig of the user `slipway-controller`, who may do nothing until RBAC says so. */
  readonly controllerKubeconfigPath: string;
  /** Audit events as JSON lines (local clusters). */
  readonly auditLogPath?: string;
  /** Of a local cluster with a node: addresses, and the number of the node's first process. */
  readonly node?: NodeNamespace;
}

export interface StartClusterOptions extends InstanceOptions {
  readonly provider?: "auto" | "kind" | "local" | undefined;
  /** A real node, so that pods run: kind has one anyway, a local control plane gets one. */
  readonly node?: boolean | undefined;
  /** An existing cluster to use: nothing is started and nothing will be deleted. */
  readonly kubeconfig?: string | undefined;
  /** Where to copy the administrator's kubeconfig. */
  readonly kubeconfigOut?: string | undefined;
}

/**
 * The cluster of this name, started unless it runs. Found in this order: an existing one (`kubeconfig`,
 * `SLIPWAY_KUBECONFIG`), kind where Docker or Podman answers, else a local control plane. What a crashed
 * start has left is removed first; a start that fails or is aborted leaves nothing.
 */
export async function startCluster(options: StartClusterOptions): Promise<Cluster> {
  const { name, report, signal, provider = "auto", kubeconfigOut } = options;
  const existing = options.kubeconfig ?? (provider === "auto" ? process.env.SLIPWAY_KUBECONFIG : undefined);
  if (existing) return externalCluster(name, existing);
  return withInstance("clusters", options, async (folder) => {
    const running = await runningState(folder);
    if (running) {
      report(`the cluster "${name}" runs already`);
      if (options.node && running.provider === "local" && !(await nodeOf(folder))) {
        throw new SlipwayError("NoNode", `the cluster "${name}" runs without a node`, {
          hint: `stop it first: slipway dev down --name ${name}`,
        });
      }
      await exportTo(folder, running, kubeconfigOut);
      return await describe(folder, running);
    }
    await discard(folder, report);
    try {
      const state = await startNew(folder, options);
      await exportTo(folder, state, kubeconfigOut);
      return await describe(folder, state);
    } catch (error) {
      report("removing what was started");
      await discard(folder, report);
      signal?.throwIfAborted();
      throw error;
    }
  });
}

/** Stops a cluster and removes its processes and files. Answers false when there was none. */
export async function stopCluster(options: InstanceOptions): Promise<boolean> {
  return withInstance("clusters", options, (folder) => discard(folder, options.report));
}

/** Names of the clusters that were started and not stopped. */
export async function listClusters(stateDir?: string): Promise<string[]> {
  return instanceNames("clusters", stateDir);
}

export interface ProcessStatus {
  readonly name: string;
  readonly pid: number;
  readonly alive: boolean;
  readonly residentBytes?: number;
}

export interface ClusterStatus {
  readonly name: string;
  /** `broken`: something of it has ended, or its start was interrupted; `up` or `down` clean that. */
  readonly phase: "absent" | "starting" | "running" | "broken";
  readonly cluster?: Cluster;
  readonly createdAt?: string;
  readonly processes: readonly ProcessStatus[];
}

/** What is known about a cluster, without waiting for who works on it. */
export async function clusterStatus(name: string, stateDir?: string): Promise<ClusterStatus> {
  const folder = await instanceFolder("clusters", name, stateDir);
  const state = await readState(folder, State);
  const processes: ProcessStatus[] = [];
  for (const daemon of await recordedDaemons(folder)) {
    const bytes = await residentBytes(daemon.pid);
    const alive = await isAlive(daemon);
    processes.push({
      name: daemon.name,
      pid: daemon.pid,
      alive,
      ...(alive && bytes && { residentBytes: bytes }),
    });
  }
  const about = state && {
    createdAt: state.createdAt,
    ...(state.phase === "ready" && { cluster: await describe(folder, state) }),
  };
  const phase = async (): Promise<ClusterStatus["phase"]> => {
    if (await runningState(folder)) return "running";
    if (await isLocked(join(dirname(folder), `.${name}.lock`))) return "starting";
    return (await exists(folder)) ? "broken" : "absent";
  };
  return { name, phase: await phase(), processes, ...about };
}

async function externalCluster(name: string, kubeconfig: string): Promise<Cluster> {
  const path = resolve(kubeconfig);
  const apiURL = currentServer(await readKubeconfig(path));
  if (apiURL === undefined) {
    throw new SlipwayError("KubeconfigUnreadable", `the kubeconfig ${path} has no current context`, {
      hint: "set one with: kubectl config use-context NAME",
    });
  }
  return { name, provider: "external", apiURL, kubeconfigPath: path, controllerKubeconfigPath: path };
}

async function startNew(folder: string, options: StartClusterOptions): Promise<State> {
  const { name, report, signal, provider = "auto" } = options;
  await mkdir(folder, { mode: 0o700 });
  const begin: Omit<State, "provider"> = {
    version: 1,
    name,
    phase: "starting",
    exported: [],
    createdAt: new Date().toISOString(),
  };

  const runtime = provider === "local" ? undefined : await findKind(provider, report);
  if (runtime) {
    await requireKindNameFree(name, runtime);
    await writeState(folder, { ...begin, provider: "kind", runtime } satisfies State);
    try {
      const apiURL = await startKind(folder, { name, runtime, report, signal });
      return await finish(folder, { ...begin, provider: "kind", runtime, apiURL });
    } catch (error) {
      signal?.throwIfAborted();
      if (provider === "kind") throw error;
      report(`kind failed (${describeError(error)}); using a local control plane`);
      await discard(folder, report);
      await mkdir(folder, { mode: 0o700 });
    }
  }
  const node = options.node === true;
  await writeState(folder, { ...begin, provider: "local", node } satisfies State);
  const apiURL = await startControlPlane(folder, { name, node: options.node, report, signal });
  return finish(folder, { ...begin, provider: "local", node, apiURL });
}

/** The container runtime to run kind with, or undefined when kind is not possible and not demanded. */
async function findKind(provider: "auto" | "kind", report: Report) {
  const runtime = await containerRuntime();
  if (runtime && (await kindInstalled())) return runtime;
  const missing = runtime ? "the kind command is not installed" : "neither Docker nor Podman answers";
  if (provider === "kind") {
    throw new SlipwayError("KindUnavailable", `a kind cluster cannot be made: ${missing}`, {
      hint: "see https://kind.sigs.k8s.io/docs/user/quick-start/, or use --provider local",
    });
  }
  report(`${missing}; using a local control plane`);
  return undefined;
}

async function finish(folder: string, state: State): Promise<State> {
  const ready: State = { ...state, phase: "ready" };
  await writeState(folder, ready);
  return ready;
}

async function exportTo(folder: string, state: State, out: string | undefined): Promise<void> {
  if (out === undefined) return;
  const path = resolve(out);
  // Recorded first: a copy that a crash leaves behind must be known.
  if (!state.exported.includes(path))
    await writeState(folder, { ...state, exported: [...state.exported, path] });
  await exportKubeconfig(join(folder, FILES.admin), path, state.name);
}

/** The state when everything of the cluster runs and its API answers. */
async function runningState(folder: string): Promise<State | undefined> {
  const state = await readState(folder, State);
  if (state?.phase !== "ready" || state.apiURL === undefined) return undefined;
  if (state.provider === "kind") return (await kindAnswers(folder, state.apiURL)) ? state : undefined;
  for (const daemon of await recordedDaemons(folder)) if (!(await isAlive(daemon))) return undefined;
  return (await apiReady(folder, state.apiURL)) ? state : undefined;
}

async function kindAnswers(folder: string, url: string): Promise<boolean> {
  const config = await readKubeconfig(join(folder, FILES.admin)).catch(() => undefined);
  const data = config?.clusters?.[0]?.cluster["certificate-authority-data"];
  if (typeof data !== "string") return false;
  return (await probe({ url: `${url}/readyz`, ca: Buffer.from(data, "base64").toString() })) === 200;
}

/** Removes everything of a cluster; false when there was nothing. */
async function discard(folder: string, report: Report): Promise<boolean> {
  const existed = await exists(folder);
  const state = await readState(folder, State);
  if (existed) report("removing the cluster's processes and files");
  if (state?.provider === "kind") await deleteKind(state.name, state.runtime ?? "docker", folder);
  for (const path of state?.exported ?? []) await removeExportedKubeconfig(path, state?.name ?? "");
  const node = await nodeOf(folder);
  // Even without the folder: somebody may have removed it under running processes.
  await removeInstance(folder);
  if (state?.node) await removeNodeTraces(state.name, node?.pid);
  return existed;
}

async function describe(folder: string, state: State): Promise<Cluster> {
  const node = state.node ? await nodeOf(folder) : undefined;
  return {
    name: state.name,
    provider: state.provider,
    apiURL: state.apiURL ?? "",
    kubeconfigPath: join(folder, FILES.admin),
    controllerKubeconfigPath: join(folder, FILES.controller),
    ...(state.provider === "local" && { auditLogPath: join(folder, FILES.audit) }),
    ...(node && { node }),
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
