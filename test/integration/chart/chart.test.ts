import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { type Cluster, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { helmBinary } from "../../../controller/dev/helm.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { installObjects } from "../../../controller/install/objects.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Deployment, type KubeObject, Service } from "../../../controller/kube/resources.ts";
import { KINDS } from "../../../schemas/index.ts";

const run = promisify(execFile);
const CHART = join(import.meta.dirname, "..", "..", "..", "charts", "slipway");
const TENANT = ["--set", "tenants[0].namespace=team-a,tenants[0].serviceAccountName=deployer"];
const NAME = "slipway-controller";

let stateDir: string;
let cluster: Cluster;
let helm: string;
let admin: KubeClient;

// A cluster of its own: Helm adopts no CRDs that others have installed.
beforeAll(async () => {
  helm = await helmBinary({ report: silent });
  stateDir = await mkdtemp(join(tmpdir(), "slipway-chart-"));
  cluster = await startCluster({ name: "chart", stateDir, provider: "local", report: silent });
  admin = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
});
afterAll(async () => {
  await admin?.close();
  await stopCluster({ name: "chart", stateDir, report: silent });
  await rm(stateDir, { recursive: true, force: true });
});

const helmed = (...args: string[]) =>
  run(helm, [...args, "--kubeconfig", cluster.kubeconfigPath], { maxBuffer: 32 << 20 });
const rendered = async (...args: string[]) => {
  const { stdout } = await helmed("template", "slipway", CHART, "-n", "slipway-system", ...args);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
};

/** What an RBAC object grants and to whom, by its kind, namespace and name. */
function grants(objects: readonly KubeObject[]): Record<string, unknown> {
  const found = objects.filter(({ apiVersion }) => apiVersion.startsWith("rbac.authorization.k8s.io/"));
  return Object.fromEntries(
    found.map(({ kind, metadata, rules, roleRef, subjects }) => [
      `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
      { rules, roleRef, subjects },
    ]),
  );
}

test("the chart grants exactly what `slipway install` grants", async () => {
  const installed = grants(await installObjects({ tenants: ["team-a/deployer"] }));
  expect(grants(await rendered(...TENANT))).toEqual(installed);
  expect(Object.keys(installed).length).toBeGreaterThan(5);
});

test("it passes Helm's linter, and its schema names a wrong value", async () => {
  const { stdout } = await helmed("lint", CHART, "--strict");
  expect(stdout).toContain("0 chart(s) failed");
  await expect(rendered("--set", "image.pullPolicy=Sometimes")).rejects.toThrow("/image/pullPolicy");
  await expect(rendered("--set", "replicas=2")).rejects.toThrow("replicas");
});

test("a digest takes the place of the tag, and a claim of one's own that of the chart's", async () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const objects = await rendered(
    "--set",
    `image.repository=example.com/slipway,image.digest=${digest},persistence.existingClaim=mine`,
  );
  expect(objects.find(({ kind }) => kind === "Deployment")?.spec).toMatchObject({
    template: {
      spec: {
        containers: [{ image: `example.com/slipway@${digest}` }],
        volumes: [{ persistentVolumeClaim: { claimName: "mine" } }, { emptyDir: {} }],
      },
    },
  });
  expect(objects.some(({ kind }) => kind === "PersistentVolumeClaim")).toBe(false);
});

test("it says what is not given yet, and tells pods another port", async () => {
  const { stdout } = await helmed(
    ...["install", "slipway", CHART, "--dry-run=client", "-n", "elsewhere"],
    ...["--set", "persistence.enabled=false,service.port=9090,extraArgs[0]=--prepare-in-process=5"],
  );
  const [manifest, notes] = stdout.split("NOTES:");
  const arguments_ = ["--work-url=http://slipway-controller.elsewhere.svc:9090", '"--prepare-in-process=5"'];
  for (const argument of arguments_) expect(manifest).toContain(`- ${argument}\n`);
  expect(notes).toContain("http://slipway-controller.elsewhere.svc:9090/webhooks");
  expect(notes).toMatch(/give `tenants`/);
  expect(notes).toMatch(/Nothing is kept/);
});

test("an authority of one's own is trusted with the values that its comment shows", async () => {
  const comment = /^# {2}extraEnv:\n(#.*\n)+/m.exec(await readFile(join(CHART, "values.yaml"), "utf8"))?.[0];
  const values = join(stateDir, "values.yaml");
  await writeFile(values, comment?.replaceAll(/^# {2}/gm, "") ?? "");
  const objects = await rendered("-f", values);
  const ca = { name: "ca", mountPath: "/etc/slipway/ca" };
  expect(objects.find(({ kind }) => kind === "Deployment")?.spec).toMatchObject({
    template: {
      spec: {
        containers: [
          {
            env: [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/slipway/ca/ca.crt" }],
            volumeMounts: [{ name: "state" }, { name: "tmp" }, ca],
          },
        ],
        volumes: [{ name: "state" }, { name: "tmp" }, { name: "ca", configMap: { name: "company-ca" } }],
      },
    },
  });
});

test("it installs, upgrades and goes, and the custom resources stay", async () => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "team-a" } };
  await admin.create(
    { group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false },
    namespace,
  );
  const at = ["-n", "slipway-system"];
  const { stdout: notes } = await helmed("install", "slipway", CHART, ...at, "--create-namespace", ...TENANT);
  expect(notes).toContain(" http://slipway-controller.slipway-system.svc:8080/webhooks;");
  expect(notes).not.toMatch(/may not act|Nothing is kept/);
  const deployment = await admin.get(Deployment, "slipway-system", NAME);
  expect(deployment?.spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  await helmed("upgrade", "slipway", CHART, ...at, ...TENANT, "--set", "service.port=9090");
  const service = await admin.get(Service, "slipway-system", NAME);
  expect(service?.spec).toMatchObject({ ports: [{ port: 9090, targetPort: "http" }] });
  await helmed("uninstall", "slipway", ...at, "--wait");
  await expect(admin.get(Deployment, "slipway-system", NAME)).rejects.toMatchObject({ status: 404 });
  const crds = await admin.list(
    {
      group: "apiextensions.k8s.io",
      version: "v1",
      kind: "CustomResourceDefinition",
      plural: "customresourcedefinitions",
      namespaced: false,
    },
    {},
  );
  const names = crds.items.map(({ metadata }) => metadata.name);
  expect(names).toEqual(expect.arrayContaining(KINDS.map(({ plural }) => `${plural}.slipway.dev`)));
});
