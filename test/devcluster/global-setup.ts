import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listClusters, startCluster, stopCluster } from "../../controller/dev/cluster.ts";
import { listForges, startGitea, stopForge } from "../../controller/dev/forge.ts";
import { withLock } from "../../controller/dev/lock.ts";
import { identify, isAlive, type ProcessIdentity } from "../../controller/dev/process-table.ts";
import { createProgress, type Report, silent } from "../../controller/dev/progress.ts";

const PREFIX = "slipway-devcluster-";

/**
 * One real API server and one real Gitea for a test run, in a state folder of their own; tests find them
 * by these variables. What is set already is used as it is, so that a run can share a cluster that stays.
 *
 * - `SLIPWAY_TEST_KUBECONFIG`: an administrator
 * - `SLIPWAY_TEST_CONTROLLER_KUBECONFIG`: the user `slipway-controller`, without any permission
 * - `SLIPWAY_TEST_AUDIT_LOG`: audit events, one JSON object a line
 * - `SLIPWAY_TEST_GITEA_URL`, `SLIPWAY_TEST_GITEA_TOKEN`: an administrator; `SLIPWAY_TEST_GITEA=off` leaves it out
 */
export default async function setup(): Promise<() => Promise<void>> {
  // One at a time: two runs would take the same folder away from each other.
  const lock = join(tmpdir(), `${PREFIX}leftovers.lock`);
  await withLock(lock, { subject: "what killed test runs left", report: () => {} }, removeLeftovers);
  const stateDir = await mkdtemp(join(tmpdir(), PREFIX));
  await writeFile(join(stateDir, "owner.json"), JSON.stringify(await identify(process.pid)));
  const name = `test-${process.pid}`;
  const progress = createProgress();
  const options = { name, stateDir, report: progress.report };
  try {
    if (!process.env.SLIPWAY_TEST_KUBECONFIG) {
      const cluster = await startCluster({ ...options, provider: "local" });
      process.env.SLIPWAY_TEST_KUBECONFIG = cluster.kubeconfigPath;
      process.env.SLIPWAY_TEST_CONTROLLER_KUBECONFIG = cluster.controllerKubeconfigPath;
      process.env.SLIPWAY_TEST_AUDIT_LOG = cluster.auditLogPath;
    }
    if (!process.env.SLIPWAY_TEST_GITEA_URL && process.env.SLIPWAY_TEST_GITEA !== "off") {
      const forge = await startGitea(options);
      process.env.SLIPWAY_TEST_GITEA_URL = forge.url;
      process.env.SLIPWAY_TEST_GITEA_TOKEN = forge.adminToken;
    }
  } catch (error) {
    await removeState(stateDir, silent);
    throw error;
  } finally {
    progress.done();
  }
  return () => removeState(stateDir, silent);
}

/** What a test run that was killed has left behind. */
async function removeLeftovers(): Promise<void> {
  for (const entry of await readdir(tmpdir())) {
    if (!entry.startsWith(PREFIX)) continue;
    const stateDir = join(tmpdir(), entry);
    const owner = await readFile(join(stateDir, "owner.json"), "utf8").catch(() => undefined);
    // Without the file its owner is just writing it, or has no process to leave.
    if (owner === undefined || (await isAlive(JSON.parse(owner) as ProcessIdentity))) continue;
    await removeState(stateDir, silent);
  }
}

async function removeState(stateDir: string, report: Report): Promise<void> {
  for (const name of await listClusters(stateDir)) await stopCluster({ name, stateDir, report });
  for (const name of await listForges(stateDir)) await stopForge({ name, stateDir, report });
  await rm(stateDir, { recursive: true, force: true });
}
