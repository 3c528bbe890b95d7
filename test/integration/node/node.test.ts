import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { controlPlaneBinaries } from "../../../controller/dev/binaries.ts";
import { type Cluster, clusterStatus, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { writeImage, writeLayer } from "../../../controller/dev/node/image-tar.ts";
import { importImage } from "../../../controller/dev/node/node.ts";
import { dnsBinary, nodeBinaries, requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { nodePossible } from "../../node-possible.ts";
import { waitFor } from "../../scenario/wait.ts";

const run = promisify(execFile);
const IMAGE = "slipway.local/busybox:1";

let stateDir: string;
let kubectl: string;
let image: string;
let before: Traces;

/** Everything of the machine that a node touches. */
interface Traces {
  readonly links: string[];
  readonly routes: string[];
  readonly mounts: string[];
  readonly rules: string[];
  readonly groups: string[];
  readonly processes: string[];
}

async function traces(): Promise<Traces> {
  const lines = async (program: string, ...args: string[]) =>
    (await run(program, args)).stdout
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .sort();
  const names = /^(etcd|kube-|kubelet|containerd|coredns|unshare|nsenter|runc)/;
  return {
    links: (await lines("ip", "-o", "link")).map((line) => line.split(":")[1] ?? ""),
    routes: await lines("ip", "route"),
    mounts: (await lines("cat", "/proc/self/mountinfo"))
      .map((line) => line.split(" ").slice(3).join(" "))
      .sort(),
    rules: (await lines("iptables-save")).map((line) => line.replace(/\[\d+:\d+\]/, "")),
    groups: (await lines("find", "/sys/fs/cgroup", "-type", "d")).filter((path) =>
      /slipway|k8s|kube/.test(path),
    ),
    processes: (await lines("ps", "-eo", "comm=")).filter((name) => names.test(name)),
  };
}

const up = async (name: string): Promise<Cluster> => {
  const cluster = await startCluster({ name, stateDir, provider: "local", node: true, report: silent });
  await importImage(cluster.node!.pid, image);
  return cluster;
};
const down = (name: string) => stopCluster({ name, stateDir, report: silent });
const kube = async (cluster: Cluster, ...args: string[]) =>
  (await run(join(kubectl, "kubectl"), [`--kubeconfig=${cluster.kubeconfigPath}`, ...args])).stdout;

async function apply(cluster: Cluster, ...objects: object[]): Promise<void> {
  const file = join(stateDir, "objects.yaml");
  await writeFile(file, objects.map((object) => stringify(object)).join("---\n"));
  await kube(cluster, "apply", "-f", file);
}

const container = (script: string, more: object = {}) => ({
  name: "main",
  image: IMAGE,
  args: ["-c", script],
  ...more,
});

const web = (replicas: number) => [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          containers: [
            container("mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www", {
              readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
            }),
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  },
];

const job = (script: string, volume = false) => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "job" },
  spec: {
    backoffLimit: 0,
    template: {
      spec: {
        restartPolicy: "Never",
        containers: [
          container(script, volume ? { volumeMounts: [{ name: "data", mountPath: "/data" }] } : {}),
        ],
        ...(volume ? { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }] } : {}),
      },
    },
  },
});

describe.skipIf(!nodePossible)("a local node", () => {
  beforeAll(async () => {
    await requireSystemPrograms({ report: silent });
    // On a fresh machine these are compiled, which takes longer than a test may.
    await nodeBinaries({ report: silent });
    await dnsBinary({ report: silent });
    stateDir = await mkdtemp(join(tmpdir(), "slipway-node-"));
    kubectl = await controlPlaneBinaries({ report: silent });
    const root = join(stateDir, "root");
    await mkdir(join(root, "bin"), { recursive: true });
    await copyFile("/bin/busybox", join(root, "bin", "busybox"));
    for (const name of ["sh", "httpd", "hostname", "mkdir", "wget", "sleep", "cat", "id"])
      await symlink("busybox", join(root, "bin", name));
    const layer = join(stateDir, "layer.tar");
    await writeLayer(layer, root);
    image = join(stateDir, "image.tar");
    await writeImage(image, { name: IMAGE, layers: [layer], entrypoint: ["/bin/sh"] });
    before = await traces();
  });
  afterAll(async () => {
    for (const name of ["one", "two"]) await down(name);
    await rm(stateDir, { recursive: true, force: true });
  });

  test("runs pods: services by name, the API server from a pod, volumes, logs, exec; and goes without a trace", async () => {
    const cluster = await up("one");
    await apply(
      cluster,
      ...web(2),
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "data" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      },
      job(
        "until wget -qO- http://web.default.svc.cluster.local; do sleep 0.2; done; " +
          "wget -qO- --no-check-certificate https://kubernetes.default.svc/version && echo kept > /data/file && cat /data/file",
        true,
      ),
    );
    await kube(cluster, "wait", "--for=condition=complete", "job/job", "--timeout=60s");
    await kube(cluster, "rollout", "status", "deployment/web", "--timeout=60s");
    const logs = await kube(cluster, "logs", "job/job");
    expect(logs).toMatch(/^web-\w+-\w+$/m);
    expect(logs).toContain('"gitVersion": "v1.34');
    expect(logs).toMatch(/kept\n$/);
    expect(await kube(cluster, "exec", "deploy/web", "--", "hostname")).toMatch(/^web-/);
    // The host reaches a service as pods do: so does a controller that runs outside of the cluster.
    const address = await kube(cluster, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
    expect(await (await fetch(`http://${address}/`)).text()).toMatch(/^web-/);
    expect(await down("one")).toBe(true);
    expect(await traces()).toEqual(before);
  });

  test("two stand side by side, and what a crash leaves is cleaned by the next up", async () => {
    const one = await up("one");
    const two = await up("two");
    expect(one.node?.network.nodeIP).not.toBe(two.node?.network.nodeIP);
    await Promise.all([one, two].map((cluster) => apply(cluster, ...web(1))));
    await Promise.all(
      [one, two].map((cluster) => kube(cluster, "rollout", "status", "deployment/web", "--timeout=60s")),
    );
    process.kill(one.node!.pid, "SIGKILL");
    await waitFor(
      "the cluster to be seen as broken",
      async () => (await clusterStatus("one", stateDir)).phase,
      (phase) => phase === "broken",
    );
    const again = await up("one");
    expect(
      await kube(again, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"),
    ).toBe("v1.34.4");
    expect(await kube(two, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")).toBe("1");
    await down("one");
    await down("two");
    expect(await traces()).toEqual(before);
    expect(
      await readdir(join(stateDir, "clusters"), { withFileTypes: true }).then((all) =>
        all.filter((entry) => entry.isDirectory()),
      ),
    ).toEqual([]);
  });
});
