import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CustomResource } from "../../../schemas/kind.ts";
import { controlPlaneBinaries } from "../../dev/binaries.ts";
import type { Cluster } from "../../dev/cluster.ts";
import { type Report, silent } from "../../dev/progress.ts";
import { resourceTypeOf } from "../../gitops/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { waitFor } from "./wait.ts";

const run = promisify(execFile);

export interface ShownStatus {
  readonly revision?: string;
  readonly observedGeneration?: number;
  /** Of an EvalSuite: its score, and the EvalRun that this is from. */
  readonly score?: string;
  readonly lastRun?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

export type ShownObject = KubeObject & CustomResource<unknown, ShownStatus>;

/** One namespace of the demo's cluster, as an operator looks at it. */
export class ClusterView {
  readonly #client: KubeClient;
  readonly #cluster: Cluster;
  readonly #namespace: string;

  constructor(client: KubeClient, cluster: Cluster, namespace: string) {
    this.#client = client;
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  get(kind: string, name: string, signal: AbortSignal): Promise<ShownObject> {
    return this.#client.get<ShownObject>(resourceTypeOf(kind), this.#namespace, name, { signal });
  }

  /** Waits until the object has reached what `when` looks for; shows its condition meanwhile. */
  until(
    kind: string,
    name: string,
    what: string,
    when: (object: ShownObject) => boolean,
    { report, signal, timeoutMs }: { report: Report; signal: AbortSignal; timeoutMs: number },
  ): Promise<ShownObject> {
    return waitFor(
      `${kind} ${name} to be ${what}`,
      async () => {
        const object = await this.get(kind, name, signal).catch(() => undefined);
        const condition = object?.status?.conditions?.find(({ type }) => type === "Ready");
        report(condition ? `${kind} ${name}: ${condition.message}` : `waiting for ${kind} ${name}`);
        return object && when(object) ? object : undefined;
      },
      { signal, timeoutMs },
    );
  }

  /** What an operator types; with the kubectl of the control plane's own version where there is one. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { provider, kubeconfigPath } = this.#cluster;
    const kubectl =
      provider === "local" ? join(await controlPlaneBinaries({ report: silent }), "kubectl") : "kubectl";
    const access = ["--kubeconfig", kubeconfigPath, "--namespace", this.#namespace];
    return (await run(kubectl, [...access, ...args])).stdout;
  }

  /** A command of Slipway's own, on this namespace. @param program and its first arguments */
  async slipway(
    [program, ...first]: readonly [string, ...string[]],
    ...args: readonly string[]
  ): Promise<string> {
    const access = ["--kubeconfig", this.#cluster.kubeconfigPath, "--namespace", this.#namespace];
    return (await run(program, [...first, ...args, ...access])).stdout;
  }
}

/** Whether an object is Ready at its newest generation. */
export function isReady({ status, metadata }: ShownObject): boolean {
  const condition = status?.conditions?.find(({ type }) => type === "Ready");
  return condition?.status === "True" && status?.observedGeneration === metadata.generation;
}

/** Whether a suite is Ready by another run than the given one: right after a merge it is still Ready by the old one. */
export function isEvaluatedAgain(suite: ShownObject, lastRun: string | undefined): boolean {
  return isReady(suite) && suite.status?.lastRun !== undefined && suite.status.lastRun !== lastRun;
}
