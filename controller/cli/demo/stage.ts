import { join } from "node:path";
import { type Cluster, startCluster, stopCluster } from "../../dev/cluster.ts";
import { type Companion, startCompanion, stopCompanions } from "../../dev/companions.ts";
import { startGitea, stopForge } from "../../dev/forge.ts";
import { WEIGHTS } from "../../dev/model/pins.ts";
import { ensureRuntime } from "../../dev/model/runtime.ts";
import { ensureWeights } from "../../dev/model/weights.ts";
import { silent } from "../../dev/progress.ts";
import { instanceFolder } from "../../dev/state.ts";
import { install, installObjects } from "../../install/objects.ts";
import { KubeClient } from "../../kube/client.ts";
import { ClusterView } from "./cluster-view.ts";
import type { GiteaServer } from "./gitea.ts";
import type { Screen } from "./screen.ts";

export const NAMESPACE = "support";
export const ACCOUNT = "slipway-tenant";
const CONTROLLER_USER = "slipway-controller";

export interface DemoOptions {
  /** Ends by itself when everything happened. */
  readonly once: boolean;
  /** Leaves cluster, forge and controller running. */
  readonly keep: boolean;
  /** Adds a node, and the chain from training rows to an alert on it. */
  readonly full: boolean;
  readonly signal: AbortSignal;
}

/** What runs during the demo. */
export interface Stage {
  readonly screen: Screen;
  readonly options: DemoOptions;
  /** Of the cluster, the forge and the background processes. */
  readonly name: string;
  readonly folder: string;
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly view: ClusterView;
  readonly forge: GiteaServer;
  /** The hosted model of the first part. */
  readonly model: { readonly url: string; readonly model: string };
  readonly controller: Companion;
  /** The program and its first arguments. */
  readonly slipway: readonly [string, ...string[]];
  /** Runs when the demo ends, the last one first. */
  readonly cleanups: (() => Promise<void>)[];
}

/** How many steps {@link setStage} shows. */
export const STAGE_STEPS = 4;

/** Starts everything; what was started is in `cleanups` even when a later part fails. */
export async function setStage(
  screen: Screen,
  options: DemoOptions,
  cleanups: Stage["cleanups"],
): Promise<Stage> {
  const { signal, full } = options;
  const name = options.keep ? "demo" : `demo-${process.pid}`;
  const folder = await instanceFolder("demos", name);
  const slipway: [string, ...string[]] = [process.execPath, process.argv[1] ?? "slipway"];

  const title = full ? "Kubernetes, with a node that runs pods" : "Kubernetes API server";
  const cluster = await screen.step(title, async (report) => {
    cleanups.push(() => stopCluster({ name, report: silent }).then(() => {}));
    return startCluster({ name, report, signal, ...(full ? { provider: "local", node: true } : {}) });
  });
  // Pods reach this machine by the address of the node's link to it.
  const address = cluster.node?.network.hostIP ?? "127.0.0.1";
  const gitea = await screen.step("Gitea, a git forge", async (report) => {
    cleanups.push(() => stopForge({ name, report: silent }).then(() => {}));
    return startGitea({ name, report, signal, ...(full ? { address } : {}) });
  });
  const model = await screen.step(`${WEIGHTS.model} behind an OpenAI-compatible endpoint`, async (report) => {
    cleanups.push(() => stopCompanions({ name, report: silent }));
    // Fetched here, where progress can be shown.
    await ensureRuntime({ report, signal });
    await ensureWeights({ report, signal });
    const args = (port: number) => ["dev", "model", "--port", String(port)];
    const command = { name: "model", command: slipway, args, readyPath: "/health" } as const;
    const { url } = await startCompanion({ folder, ...command, report, signal });
    return { url: `${url}/v1`, model: WEIGHTS.model };
  });
  const client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
  cleanups.push(() => client.close());
  const controller = await screen.step("CRDs, rights, a tenant, and the controller", async (report) => {
    report("installing");
    const tenants = [`${NAMESPACE}/${ACCOUNT}`];
    await install(client, await installObjects({ user: CONTROLLER_USER, tenants }), signal);
    report("starting the controller");
    const args = (port: number) => [
      ...["controller", "--kubeconfig", cluster.controllerKubeconfigPath],
      ...["--state-dir", join(folder, "state"), "--host", address, "--port", String(port)],
      ...(full ? ["--work-url", `http://${address}:${port}`] : []),
    ];
    const command = { name: "controller", command: slipway, args, readyPath: "/readyz", address } as const;
    return startCompanion({ folder, ...command, report, signal });
  });
  return {
    screen,
    options,
    name,
    folder,
    cluster,
    client,
    view: new ClusterView(client, cluster, NAMESPACE),
    forge: {
      url: gitea.url,
      user: gitea.adminUser,
      password: gitea.adminPassword,
      token: gitea.adminToken,
    },
    model,
    controller,
    slipway,
    cleanups,
  };
}
