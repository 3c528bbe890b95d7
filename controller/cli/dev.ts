import { Command, Option } from "commander";
import {
  type Cluster,
  type ClusterStatus,
  clusterStatus,
  listClusters,
  startCluster,
  stopCluster,
} from "../dev/cluster.ts";
import { stopCompanions } from "../dev/companions.ts";
import { findForge, listForges, startGitea, stopForge } from "../dev/forge.ts";
import { silent } from "../dev/progress.ts";
import { type NameOption, nameOption, print, withProgress } from "./dev-command.ts";
import { devHubCommand } from "./dev-hub.ts";
import { devImagesCommand, devLoadImageCommand } from "./dev-images.ts";
import { devModelCommand } from "./dev-model.ts";

interface UpOptions extends NameOption {
  readonly kubeconfig?: string;
  readonly kubeconfigOut?: string;
  readonly node?: boolean;
  readonly provider: "auto" | "kind" | "local";
}

/** `slipway dev`: a local cluster, forge and model, for trying Slipway and for its tests. */
export function devCommand(): Command {
  const dev = new Command("dev").description("run a local cluster, forge and model");
  dev
    .command("up")
    .description("start a local cluster, or answer the one that runs")
    .addOption(nameOption())
    .addOption(
      new Option("--provider <provider>", "who provides the cluster")
        .choices(["auto", "kind", "local"])
        .default("auto"),
    )
    .option(
      "--kubeconfig <file>",
      "use an existing cluster; nothing is started or deleted (SLIPWAY_KUBECONFIG)",
    )
    .option("--node", "with a real node, so that pods run (Linux, root)")
    .option("--kubeconfig-out <file>", "also write the administrator's kubeconfig here")
    .action(up);
  dev
    .command("status")
    .description("show local clusters and forges; exit code 1 when the named one does not run")
    .option("--name <name>", "only this one")
    .action(status);
  dev
    .command("down")
    .description("stop a local cluster and the forge of the same name, and remove their files")
    .addOption(nameOption())
    .action(down);
  const forge = dev.command("forge").description("run a local Gitea");
  forge
    .command("up")
    .description("start a local Gitea, or answer the one that runs; its credentials are printed")
    .addOption(nameOption())
    .action(forgeUp);
  forge
    .command("down")
    .description("stop a local Gitea and remove its files")
    .addOption(nameOption())
    .action(forgeDown);
  dev.addCommand(devImagesCommand());
  dev.addCommand(devLoadImageCommand());
  dev.addCommand(devModelCommand());
  dev.addCommand(devHubCommand());
  return dev;
}

async function up(options: UpOptions): Promise<void> {
  const cluster = await withProgress((report, signal) => startCluster({ ...options, report, signal }));
  print(clusterLines(cluster));
}

async function down({ name }: NameOption): Promise<void> {
  const removed = await withProgress(async (report, signal) => {
    await stopCompanions({ name, report, signal });
    const forge = await stopForge({ name, report, signal });
    const cluster = await stopCluster({ name, report, signal });
    return [cluster && `cluster "${name}" removed`, forge && `forge "${name}" removed`].filter(
      (line) => line !== false,
    );
  });
  print(removed.length > 0 ? removed : [`nothing runs under the name "${name}"`]);
}

async function forgeUp({ name }: NameOption): Promise<void> {
  const forge = await withProgress((report, signal) => startGitea({ name, report, signal }));
  print([
    `forge     ${forge.url}`,
    `user      ${forge.adminUser}`,
    `password  ${forge.adminPassword}`,
    `token     ${forge.adminToken}`,
  ]);
}

async function forgeDown({ name }: NameOption): Promise<void> {
  const existed = await withProgress((report, signal) => stopForge({ name, report, signal }));
  print([existed ? `forge "${name}" removed` : `no forge "${name}" runs`]);
}

async function status({ name }: { readonly name?: string }): Promise<void> {
  const names =
    name === undefined ? [...new Set([...(await listClusters()), ...(await listForges())])].sort() : [name];
  if (names.length === 0) print(["no local cluster or forge; start one with: slipway dev up"]);
  for (const each of names) {
    const cluster = await clusterStatus(each);
    const forge = await findForge({ name: each, report: silent });
    print(statusLines(cluster, forge?.url));
    if (name !== undefined && cluster.phase !== "running") process.exitCode = 1;
  }
}

function clusterLines(cluster: Cluster): string[] {
  return [
    `cluster     ${cluster.name} (${cluster.provider})`,
    `API         ${cluster.apiURL}`,
    `kubeconfig  ${cluster.kubeconfigPath}`,
    `controller  ${cluster.controllerKubeconfigPath}`,
    ...(cluster.node
      ? [`node        ${cluster.node.network.nodeIP}, pods reach this host as ${cluster.node.network.hostIP}`]
      : []),
    ...(cluster.auditLogPath ? [`audit log   ${cluster.auditLogPath}`] : []),
  ];
}

/** What `dev status` shows about one name. */
export function statusLines(status: ClusterStatus, forgeURL: string | undefined): string[] {
  const lines = status.cluster ? clusterLines(status.cluster) : [`cluster     ${status.name}`];
  lines.push(`state       ${status.phase}${status.createdAt ? `, since ${status.createdAt}` : ""}`);
  if (status.phase === "broken") lines.push("            repair it with dev up, remove it with dev down");
  if (forgeURL) lines.push(`forge       ${forgeURL}`);
  if (status.processes.length > 0) {
    const rows = status.processes.map(({ name, pid, alive, residentBytes }) => [
      name,
      String(pid),
      alive ? "running" : "ended",
      residentBytes === undefined ? "" : `${Math.round(residentBytes / 2 ** 20)} MiB`,
    ]);
    lines.push("", ...table([["PROCESS", "PID", "STATE", "MEMORY"], ...rows]));
  }
  return [...lines, ""];
}

function table(rows: readonly string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
