import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { controlPlaneBinaries } from "../../../controller/dev/binaries.ts";
import { type Cluster, clusterStatus, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { writeImage, writeLayer } from "../../../controller/dev/node/image-tar.ts";
import { runInside, VOLUMES } from "../../../controller/dev/node/namespace.ts";
import { importImage } from "../../../controller/dev/node/node.ts";
import { dnsBinary, nodeBinaries, requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { cacheRoot } from "../../../controller/dev/paths.ts";
import { silent } from "../../../controller/dev/progress.ts";
import packageJson from "../../../package.json" with { type: "json" };
import { nodePossible } from "../../node-possible.ts";
import { waitFor } from "../../scenario/wait.ts";
import { start } from "../cli/slipway.ts";

const run = promisify(execFile);
const IMAGE = "slipway.local/busybox:1";

let stateDir: string;
let kubectl: string;
let image: string;
/** What `slipway dev images` says before there is a node. */
let withoutNode: string;
let before: Traces;

/** Everything of the machine that a node touches. */
interface Traces {
  readonly links: string[];
  readonly routes: string[];
  readonly mounts: string[];
  readonly rules: string[];
  readonly groups: string[];
  readonly loops: string[];
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
    loops: await lines("losetup", "--list", "--noheadings", "--output=BACK-FILE"),
    processes: (await lines("ps", "-eo", "comm=")).filter((name) => names.test(name)),
  };
}

const up = async (name: string): Promise<Cluster> => {
  const cluster = await startCluster({ name, stateDir, provider: "local", node: true, report: silent });
  await importImage(cluster.node!.pid, image);
  return cluster;
};
const down = (name: string) => stopCluster({ name, stateDir, report: silent });
/** `slipway dev` as a user calls it: answers what it prints. */
const dev = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await start(["dev", ...args], cacheRoot(), {
    SLIPWAY_STATE_DIR: stateDir,
  }).ended;
  if (code !== 0) throw new Error(`slipway dev ${args.join(" ")} ended with status ${code}: ${stderr}`);
  return stdout;
};
type Kubeconfig = Pick<Cluster, "kubeconfigPath">;
const kube = async (cluster: Kubeconfig, ...args: string[]) =>
  (await run(join(kubectl, "kubectl"), [`--kubeconfig=${cluster.kubeconfigPath}`, ...args])).stdout;

async function apply(cluster: Kubeconfig, ...objects: object[]): Promise<void> {
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

// Longer than usual: the controller's image is made, and nodes come and go.
describe.skipIf(!nodePossible)("a local node", { timeout: 300_000 }, () => {
  beforeAll(async () => {
    await requireSystemPrograms({ report: silent });
    // On a fresh machine these are compiled, which takes longer than a test may.
    await nodeBinaries({ report: silent });
    await dnsBinary({ report: silent });
    stateDir = await mkdtemp(join(tmpdir(), "slipway-node-"));
    withoutNode = await dev("images", "--only", "controller", "--name", "one");
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
    const cluster = { kubeconfigPath: join(stateDir, "one.kubeconfig") };
    const named = ["--name", "one"];
    expect(withoutNode).toContain('not imported: no local cluster "one" with a node runs');
    await dev("up", "--node", "--provider", "local", ...named, "--kubeconfig-out", cluster.kubeconfigPath);
    await dev("load-image", image, ...named);
    const images = await dev("images", "--only", "controller", ...named);
    expect(images).toContain('imported into the node of the cluster "one"');
    // Unpacked on a disk of the node's own, which stands for as long as the node does.
    const files = join(stateDir, "clusters", "one", "images.ext4");
    if (existsSync("/dev/loop-control"))
      expect((await traces()).loops).toEqual([...before.loops, files].toSorted());
    const [, controller = ""] = /^image +(\S+)$/m.exec(images) ?? [];
    await kube(cluster, "run", "controller", `--image=${controller}`, "--restart=Never", "--", "--version");
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
    await kube(
      cluster,
      "wait",
      "--for=jsonpath={.status.phase}=Succeeded",
      "pod/controller",
      "--timeout=60s",
    );
    expect(await kube(cluster, "logs", "controller")).toBe(`${packageJson.version}\n`);
    const id = await kube(
      cluster,
      "get",
      "pod/controller",
      "-o",
      "jsonpath={.status.containerStatuses[0].imageID}",
    );
    expect(images).toMatch(new RegExp(`^id +${id}$`, "m"));
    // The host reaches a service as pods do: so does a controller that runs outside of the cluster.
    const address = await kube(cluster, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
    expect(await (await fetch(`http://${address}/`)).text()).toMatch(/^web-/);
    expect(await dev("down", ...named)).toBe('cluster "one" removed\n');
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
    // The other's volumes lie in a folder of the same name.
    expect(await runInside(two.node!.pid, "findmnt", ["-no", "TARGET", VOLUMES])).toBe(`${VOLUMES}\n`);
    await down("two");
    expect(await traces()).toEqual(before);
    expect(
      await readdir(join(stateDir, "clusters"), { withFileTypes: true }).then((all) =>
        all.filter((entry) => entry.isDirectory()),
      ),
    ).toEqual([]);
  });
});
