import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { startGitea, stopForge } from "../../../controller/dev/forge.ts";
import { helmBinary } from "../../../controller/dev/helm.ts";
import { controllerImage } from "../../../controller/dev/images/controller-image.ts";
import { importLayers } from "../../../controller/dev/node/node.ts";
import { requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Namespace, Pod, Service } from "../../../controller/kube/resources.ts";
import type { Dataset } from "../../../schemas/dataset.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import type { Repository } from "../../../schemas/repository.ts";
import { nodePossible } from "../../node-possible.ts";
import { type AuditEvent, AuditLog } from "../../scenario/audit.ts";
import {
  applyRepository,
  createSecret,
  getObject,
  hasCondition,
  TENANT_ACCOUNT,
  typeOf,
  waitForObject,
} from "../../scenario/cluster.ts";
import { GiteaAdmin } from "../../scenario/gitea.ts";
import type { GiteaRepository } from "../../scenario/gitea-repository.ts";
import { lonePrompt } from "../../scenario/many-resources.ts";
import { waitFor } from "../../scenario/wait.ts";
import { dataset, rowLines, trainingRows } from "../../training-repository.ts";
import { digestOnLaptop } from "./laptop.ts";
import { openVolume } from "./volumes.ts";

const run = promisify(execFile);
const CHART = join(import.meta.dirname, "..", "..", "..", "charts", "slipway");
const SYSTEM = "slipway-system";
const TEAM = "team-a";
const NAME = "in-cluster";
const CONTROLLER = "slipway-controller";
/** Bytes of other Datasets and urls above which a pod prepares a Dataset; these rows have 30 times as many. */
const IN_PROCESS = 1000;
const rowsOf = (name: string) => ({ sources: [{ name: "rows", datasetRef: { name } }] });
const DATASETS = {
  "tickets.jsonl": rowLines(trainingRows(400)),
  "tickets.yaml": dataset(),
  "large.yaml": dataset({ name: "large", spec: rowsOf("tickets") }),
};
const LATER = { "later.yaml": dataset({ name: "later", spec: rowsOf("large") }) };

let stateDir: string;
let cluster: Cluster;
let client: KubeClient;
let git: GiteaRepository;
let forgeURL: string;

const synced = (commit: string) =>
  waitForObject<Repository>(
    client,
    ["Repository", TEAM, "prompts"],
    `applied at ${commit}`,
    (object) => object.status?.lastAppliedRevision === commit && hasCondition(object, "Ready"),
    60_000,
  );

const pods = async () =>
  (await client.list(Pod, { namespace: SYSTEM, labelSelector: "app.kubernetes.io/name=slipway" })).items;

const prepared = (name: string) =>
  waitForObject<Dataset>(
    client,
    ["Dataset", TEAM, name],
    "to be Ready",
    (object) => hasCondition(object, "Ready"),
    120_000,
  );

describe.skipIf(!nodePossible)("the controller in a cluster, from its chart and image", () => {
  beforeAll(async () => {
    await requireSystemPrograms({ report: silent });
    stateDir = await mkdtemp(join(tmpdir(), "slipway-in-cluster-"));
    const options = { name: NAME, stateDir, report: silent };
    cluster = await startCluster({ ...options, provider: "local", node: true });
    const image = await controllerImage(options);
    await importLayers(cluster.node!.pid, image);
    client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
    // What runs here has to be what the strictest clusters let run.
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    for (const name of [SYSTEM, TEAM])
      await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
    const helm = await helmBinary(options);
    const tenant = `tenants[0].namespace=${TEAM},tenants[0].serviceAccountName=${TENANT_ACCOUNT}`;
    const installed = run(helm, [
      ...["install", "slipway", CHART, "--kubeconfig", cluster.kubeconfigPath, "-n", SYSTEM],
      ...["--set", tenant, "--set", `extraArgs[0]=--prepare-in-process=${IN_PROCESS}`],
      ...["--wait", "--timeout", "2m"],
    ]);
    await Promise.all([installed, openVolume(client, cluster, SYSTEM, CONTROLLER)]);
    const forge = await startGitea({ ...options, address: cluster.node!.network.hostIP });
    const admin = new GiteaAdmin(forge.url, forge.adminToken);
    const owner = await admin.createUser("owner");
    git = await admin.createRepo(owner, "prompts", { private: true });
    const host = new URL(forge.url).host;
    const secret = randomBytes(20).toString("hex");
    await createSecret(client, TEAM, "git", { username: owner.login, password: owner.password }, [host]);
    await createSecret(client, TEAM, "forge", { token: owner.token }, [host]);
    await createSecret(client, TEAM, "webhook", { secret });
    forgeURL = forge.url;
    const service = await client.get(Service, SYSTEM, CONTROLLER);
    const { clusterIP } = service.spec as { clusterIP: string };
    await git.addWebhook(`http://${clusterIP}:8080/webhooks`, secret);
  });
  afterAll(async () => {
    await git?.[Symbol.asyncDispose]();
    await client?.close();
    for (const stop of [stopForge, stopCluster]) await stop({ name: NAME, stateDir, report: silent });
    await rm(stateDir, { recursive: true, force: true });
  });

  test("runs without root or rights of its own, and follows git by its webhook", async () => {
    const first = await git.commitFiles(
      "main",
      { "prompt.yaml": lonePrompt("{{ticket}}"), ...DATASETS },
      "Start",
    );
    await applyRepository(client, TEAM, "prompts", {
      url: git.cloneUrl,
      interval: "10m",
      secretRef: { name: "git" },
      webhook: { secretRef: { name: "webhook" } },
      forge: { type: "Gitea", apiURL: `${forgeURL}/api/v1`, secretRef: { name: "forge" } },
    });
    await synced(first);

    const [pod] = await pods();
    expect(pod?.spec).toMatchObject({ securityContext: { runAsNonRoot: true, runAsUser: 65532 } });
    // What is applied is not yet what has been reconciled: the prompt is Ready a moment after its Repository.
    const prompt = await waitFor(
      "the prompt, Ready",
      async () => (await client.list(typeOf("PromptTemplate"), { namespace: TEAM })).items[0],
      (object) => hasCondition(object, "Ready"),
      { timeoutMs: 30_000 },
    );

    // The interval is ten minutes: the webhook brings it, through the Service.
    const second = await git.commitFiles(
      "main",
      { "prompt.yaml": lonePrompt("Sort: {{ticket}}") },
      "Say what to do",
    );
    await synced(second);
    const name = prompt!.metadata.name;
    const changed = await getObject<PromptTemplate>(client, "PromptTemplate", TEAM, name);
    expect(changed?.spec.messages.map(({ content }) => content)).toContain("Sort: {{ticket}}");
    const users = usersOf(await new AuditLog(cluster.auditLogPath).events());
    expect(users).toContain(`system:serviceaccount:${SYSTEM}:${CONTROLLER}`);
    expect(users).toContain(`system:serviceaccount:${TEAM}:${TENANT_ACCOUNT}`);
  });

  test("gives a large Dataset to a pod, which reaches it by its Service and comes to a laptop's digest", async () => {
    const small = await prepared("tickets");
    expect(small.status?.work).toBeUndefined();
    const { status } = await prepared("large");
    expect(status).toMatchObject({ read: 400, artifact: { rows: 400 }, work: { attempt: 1 } });
    expect(status?.artifact?.digest).toBe(await digestOnLaptop(stateDir, DATASETS, "large"));
  });

  test("goes on after its pod is deleted, with what was prepared before", async () => {
    const before = await prepared("large");
    const [pod] = await pods();
    await client.delete(Pod, SYSTEM, pod!.metadata.name);
    // The old one may still answer webhooks while it ends.
    await waitFor(
      "another pod, alone and ready",
      pods,
      (items) =>
        items.length === 1 && items[0]?.metadata.uid !== pod!.metadata.uid && hasCondition(items[0], "Ready"),
      { timeoutMs: 90_000 },
    );
    const third = await git.commitFiles(
      "main",
      { "prompt.yaml": lonePrompt("{{ticket}}?"), ...LATER },
      "Ask",
    );
    await synced(third);

    // Its pod reads the artifact of the one before.
    const later = await prepared("later");
    expect(later.status?.artifact?.digest).toBe(
      await digestOnLaptop(stateDir, { ...DATASETS, ...LATER }, "later"),
    );
    expect((await prepared("large")).status).toEqual(before.status);
    const jobs = jobsMade(await new AuditLog(cluster.auditLogPath).events());
    expect(jobs.map((name) => name.replace(/-[0-9a-f]{12}$/, ""))).toEqual(["large", "later"]);
  });
});

/** Who the API server has seen, impersonated users included. */
const usersOf = (seen: readonly AuditEvent[]): Set<string> =>
  new Set(
    seen.flatMap(({ user, impersonatedUser }) =>
      [user, impersonatedUser].flatMap((who) => who?.username ?? []),
    ),
  );

/** Names of the Jobs that have come to be, one for each time. */
const jobsMade = (seen: readonly AuditEvent[]): string[] =>
  seen.flatMap(({ requestURI, objectRef, responseStatus }) => {
    const made = responseStatus?.code === 201 && !requestURI.includes("dryRun=All");
    return made && objectRef?.resource === "jobs" ? [objectRef.name ?? ""] : [];
  });
