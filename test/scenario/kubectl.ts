import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { controlPlaneBinaries } from "../../controller/dev/binaries.ts";
import { silent } from "../../controller/dev/progress.ts";

/** kubectl as an operator runs it, in one namespace. */
export class Kubectl {
  readonly #kubeconfig: string;
  readonly #namespace: string;

  constructor(kubeconfig: string, namespace: string) {
    this.#kubeconfig = kubeconfig;
    this.#namespace = namespace;
  }

  async run(...args: readonly string[]): Promise<string> {
    const program = join(await controlPlaneBinaries({ report: silent }), "kubectl");
    const all = [`--kubeconfig=${this.#kubeconfig}`, "-n", this.#namespace, ...args];
    return (await promisify(execFile)(program, all)).stdout;
  }

  /** What `kubectl get -o wide` prints of one object, by column. */
  async row(resource: string, name: string): Promise<Record<string, string>> {
    const [header = "", row = ""] = (await this.run("get", resource, name, "-o", "wide"))
      .trimEnd()
      .split("\n");
    const starts = [...header.matchAll(/\S+/g)].map(({ index }) => index);
    return Object.fromEntries(
      starts.map((start, i) => {
        const end = starts[i + 1];
        return [header.slice(start, end).trim(), row.slice(start, end).trim()];
      }),
    );
  }
}
