import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api, VersionApi } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { controlPlaneBinaries, KUBERNETES_VERSION } from "../../../controller/dev/binaries.ts";
import {
  type Cluster,
  clusterStatus,
  listClusters,
  startCluster,
  stopCluster,
} from "../../../controller/dev/cluster.ts";
import { recordedDaemons } from "../../../controller/dev/process.ts";
import { findOwned, isAlive } from "../../../controller/dev/process-table.ts";
import { silent } from "../../../controller/dev/progress.ts";

const run = promisify(execFile);

let stateDir: string;
beforeEach(async () => {
  stateDir = await realpath(await mkdtemp(join(tmpdir(), "slipway-dev-")));
});
afterEach(async () => {
  for (const name of await listClusters(stateDir)) await stopCluster({ name, stateDir, report: silent });
  await rm(stateDir, { recursive: true, force: true });
});

const up = (name: string, more: Partial<Parameters<typeof startCluster>[0]> = {}) =>
  startCluster({ name, stateDir, provider: "local", report: silent, ...more });

function connect(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}

/** Every process and file that belongs to a cluster. */
async function leftovers(name: string) {
  const folder = join(stateDir, "clusters", name);
  return { processes: await findOwned(folder), files: await readdir(join(stateDir, "clusters")) };
}
const NOTHING = { processes: [], files: [] };

async function ownerUID(cluster: Cluster): Promise<string> {
  const api = connect(cluster.kubeconfigPath).makeApiClient(CoreV1Api);
  return (await api.readNamespace({ name: "default" })).metadata?.uid ?? "";
}

test("up answers a cluster that works; up again the same; status shows it; down leaves nothing", async () => {
  const out = join(stateDir, "out.kubeconfig");
  const messages: string[] = [];
  const cluster = await up("one", { kubeconfigOut: out, report: (message) => messages.push(message) });
  expect(messages).toEqual(expect.arrayContaining(["starting etcd", "starting kube-apiserver"]));

  const version = await connect(out).makeApiClient(VersionApi).getCode();
  expect(version.gitVersion).toBe(`v${KUBERNETES_VERSION}`);
  for (const path of [out, cluster.kubeconfigPath, cluster.controllerKubeconfigPath]) {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).not.toContain("insecure");
  }
  const bin = await controlPlaneBinaries({ report: silent });
  const kubectl = await run(join(bin, "kubectl"), [
    "--kubeconfig",
    out,
    "get",
    "namespace",
    "default",
    "-o",
    "name",
  ]);
  expect(kubectl.stdout).toBe("namespace/default\n");

  const uid = await ownerUID(cluster);
  expect(await up("one")).toEqual(cluster);
  expect(await ownerUID(cluster)).toBe(uid);

  const status = await clusterStatus("one", stateDir);
  expect(status).toMatchObject({ phase: "running", cluster });
  expect(status.processes.map(({ name, alive }) => [name, alive])).toEqual([
    ["etcd", true],
    ["kube-apiserver", true],
    ["kube-controller-manager", true],
  ]);

  expect(await stopCluster({ name: "one", stateDir, report: silent })).toBe(true);
  expect(await leftovers("one")).toEqual(NOTHING);
  await expect(stat(out)).rejects.toThrow("ENOENT");
  expect(await clusterStatus("one", stateDir)).toEqual({ name: "one", phase: "absent", processes: [] });
  expect(await stopCluster({ name: "one", stateDir, report: silent })).toBe(false);
});

test("two clusters run side by side and trust neither the other's certificate nor its token", async () => {
  const [a, b] = await Promise.all([up("a"), up("b")]);
  expect(a.apiURL).not.toBe(b.apiURL);
  const api = connect(a.kubeconfigPath).makeApiClient(CoreV1Api);
  await api.createNamespace({ body: { metadata: { name: "only-in-a" } } });
  const namespaces = await connect(b.kubeconfigPath).makeApiClient(CoreV1Api).listNamespace();
  expect(namespaces.items.map((item) => item.metadata?.name)).not.toContain("only-in-a");

  const [configA, configB] = [connect(a.kubeconfigPath), connect(b.kubeconfigPath)];
  const caOf = (config: KubeConfig) =>
    Buffer.from(config.getCurrentCluster()?.caData ?? "", "base64").toString();
  const get = (url: string, ca: string, token: string) =>
    new Promise<number | string>((resolve) => {
      const headers = { authorization: `Bearer ${token}` };
      request(`${url}/api/v1/namespaces`, { ca, headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
        .end();
    });
  const tokenA = configA.getCurrentUser()?.token ?? "";
  expect(await get(a.apiURL, caOf(configA), tokenA)).toBe(200);
  expect(await get(b.apiURL, caOf(configA), tokenA)).toMatch(/^(UNABLE_TO|SELF_SIGNED|CERT_|DEPTH_ZERO)/);
  expect(await get(b.apiURL, caOf(configB), tokenA)).toBe(401);

  await stopCluster({ name: "a", stateDir, report: silent });
  expect((await clusterStatus("b", stateDir)).phase).toBe("running");
  expect(await listClusters(stateDir)).toEqual(["b"]);
});

test("the controller's user may do nothing until RBAC grants it, and impersonation is audited", async () => {
  const cluster = await up("rbac");
  const controller = connect(cluster.controllerKubeconfigPath).makeApiClient(CoreV1Api);
  await expect(controller.listNamespacedSecret({ namespace: "default" })).rejects.toMatchObject({
    code: 403,
  });

  const admin = connect(cluster.kubeconfigPath);
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api);
  const rules = [
    { apiGroups: [""], resources: ["serviceaccounts"], resourceNames: ["default"], verbs: ["impersonate"] },
  ];
  await rbac.createNamespacedRole({
    namespace: "default",
    body: { metadata: { name: "impersonate" }, rules },
  });
  await rbac.createNamespacedRoleBinding({
    namespace: "default",
    body: {
      metadata: { name: "impersonate" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "impersonate" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "slipway-controller" }],
    },
  });
  const kubectl = join(await controlPlaneBinaries({ report: silent }), "kubectl");
  const account = "system:serviceaccount:default:default";
  const as = ["--kubeconfig", cluster.controllerKubeconfigPath, "--as", account, "get", "configmaps"];
  await expect(run(kubectl, as)).rejects.toMatchObject({
    stderr: expect.stringContaining(`User "${account}"`),
  });

  const events = (await readFile(cluster.auditLogPath ?? "", "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, never>);
  expect(events).toContainEqual(
    expect.objectContaining({
      level: "Metadata",
      stage: "ResponseComplete",
      user: expect.objectContaining({ username: "slipway-controller" }),
      impersonatedUser: expect.objectContaining({ username: account }),
    }),
  );
});

test("after etcd is killed, status says broken and up makes a new cluster", async () => {
  const first = await up("killed");
  const uid = await ownerUID(first);
  const folder = join(stateDir, "clusters", "killed");
  const etcd = (await recordedDaemons(folder)).find((daemon) => daemon.name === "etcd");
  process.kill(etcd?.pid ?? 0, "SIGKILL");
  while (etcd && (await isAlive(etcd))) await sleep(20);
  expect((await clusterStatus("killed", stateDir)).phase).toBe("broken");

  const second = await up("killed");
  expect(await ownerUID(second)).not.toBe(uid);
  expect(await findOwned(folder)).toHaveLength(3);
  await stopCluster({ name: "killed", stateDir, report: silent });
  expect(await leftovers("killed")).toEqual(NOTHING);
});

test.each([
  ["starting etcd", 0],
  ["starting kube-apiserver", 1],
  ["waiting for the controllers", 3],
])("when the starter is killed at '%s', the next up cleans and succeeds", async (step, running) => {
  const starter = spawn(process.execPath, [join(import.meta.dirname, "starter.ts"), stateDir, step], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => starter.once("exit", resolve));
  expect(starter.signalCode).toBe("SIGKILL");
  const folder = join(stateDir, "clusters", "crash");
  expect((await clusterStatus("crash", stateDir)).phase).toBe("broken");
  const orphans = await findOwned(folder);
  expect(orphans).toHaveLength(running);

  const cluster = await up("crash");
  for (const orphan of orphans) expect(await isAlive(orphan)).toBe(false);
  expect(await findOwned(folder)).toHaveLength(3);
  expect(await ownerUID(cluster)).not.toBe("");
  await stopCluster({ name: "crash", stateDir, report: silent });
  expect(await leftovers("crash")).toEqual(NOTHING);
});

test("an aborted start leaves nothing", async () => {
  const controller = new AbortController();
  const report = (message: string) => {
    if (message.startsWith("waiting for the API server")) controller.abort(new Error("enough"));
  };
  await expect(up("aborted", { report, signal: controller.signal })).rejects.toThrow("enough");
  expect(await leftovers("aborted")).toEqual(NOTHING);
});

test("a down removes processes whose folder somebody has deleted", async () => {
  await up("bare");
  await rename(join(stateDir, "clusters", "bare"), join(stateDir, "moved"));
  await stopCluster({ name: "bare", stateDir, report: silent });
  expect(await leftovers("bare")).toEqual(NOTHING);
});

test("two starts of one name at once make one cluster", async () => {
  const [first, second] = await Promise.all([up("same"), up("same")]);
  expect(second).toEqual(first);
  expect(await findOwned(join(stateDir, "clusters", "same"))).toHaveLength(3);
});

test("an existing cluster is used as it is: nothing is started, nothing deleted", async () => {
  const own = await up("own");
  const cluster = await startCluster({
    name: "given",
    stateDir,
    kubeconfig: own.kubeconfigPath,
    report: silent,
  });
  expect(cluster).toMatchObject({
    provider: "external",
    apiURL: own.apiURL,
    kubeconfigPath: own.kubeconfigPath,
  });
  expect(await stopCluster({ name: "given", stateDir, report: silent })).toBe(false);
  expect((await clusterStatus("own", stateDir)).phase).toBe("running");
});

test("the command line starts, shows and removes a cluster", async () => {
  const env = { ...process.env, SLIPWAY_STATE_DIR: stateDir, SLIPWAY_KUBECONFIG: "", NO_COLOR: "1" };
  const dev = (...args: string[]) =>
    run(process.execPath, [join(import.meta.dirname, "dev.ts"), ...args], { env });
  await mkdir(stateDir, { recursive: true });
  const started = await dev("up", "--name", "cli", "--provider", "local");
  expect(started.stdout).toMatch(/^cluster {5}cli \(local\)\nAPI {9}https:\/\/127\.0\.0\.1:\d+\n/);
  expect(started.stderr).toContain("starting kube-apiserver\n");
  expect((await dev("status")).stdout).toMatch(/state {7}running.*\n[\s\S]*etcd +\d+ +running +\d+ MiB/);
  expect((await dev("down", "--name", "cli")).stdout).toBe('cluster "cli" removed\n');
  expect((await dev("down", "--name", "cli")).stdout).toBe('nothing runs under the name "cli"\n');
  await expect(dev("status", "--name", "cli")).rejects.toMatchObject({ code: 1 });
  expect(await leftovers("cli")).toEqual(NOTHING);
});
