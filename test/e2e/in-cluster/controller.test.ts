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
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import type { Repository } from "../../../schemas/repository.ts";
import { nodePossible } from "../../node-possible.ts";
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

const run = promisify(execFile);
const CHART = join(import.meta.dirname, "..", "..", "..", "charts", "slipway");
const SYSTEM = "slipway-system";
const TEAM = "team-a";
const NAME = "in-cluster";

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

describe.skipIf(!nodePossible)("the controller in a cluster, from its chart and image", () => {
  beforeAll(async () => {
    await requireSystemPrograms({ report: silent });
    stateDir = await mkdtemp(join(tmpdir(), "slipway-in-cluster-"));
    const options = { name: NAME, stateDir, report: silent };
    cluster = await startCluster({ ...options, provider: "local", node: true });
    const image = await controllerImage(options);
    await importLayers(cluster.node!.pid, image);
    client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
    await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: TEAM } });
    const helm = await helmBinary(options);
    const tenant = `tenants[0].namespace=${TEAM},tenants[0].serviceAccountName=${TENANT_ACCOUNT}`;
    await run(helm, [
      ...[
        "install",
        "slipway",
        CHART,
        "--kubeconfig",
        cluster.kubeconfigPath,
        "-n",
        SYSTEM,
        "--create-namespace",
      ],
      ...["--set", tenant, "--set", "persistence.enabled=false", "--wait", "--timeout", "2m"],
    ]);
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
    const service = await client.get(Service, SYSTEM, "slipway-controller");
    const { clusterIP } = service.spec as { clusterIP: string };
    await git.addWebhook(`http://${clusterIP}:8080/webhooks`, secret);
  });
  afterAll(async () => {
    await git?.[Symbol.asyncDispose]();
    await client?.close();
    for (const stop of [stopForge, stopCluster]) await stop({ name: NAME, stateDir, report: silent });
    await rm(stateDir, { recursive: true, force: true });
  });

  test("runs without root or rights of its own, follows git, and goes on after its pod is deleted", async () => {
    const first = await git.commitFiles("main", { "prompt.yaml": lonePrompt("{{ticket}}") }, "Start");
    await applyRepository(client, TEAM, "prompts", {
      url: git.cloneUrl,
      interval: "10m",
      secretRef: { name: "git" },
      webhook: { secretRef: { name: "webhook" } },
      forge: { type: "Gitea", apiURL: `${forgeURL}/api/v1`, secretRef: { name: "forge" } },
    });
    await synced(first);

    const pods = () =>
      client.list(Pod, { namespace: SYSTEM, labelSelector: "app.kubernetes.io/name=slipway" });
    const [pod] = (await pods()).items;
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

    await client.delete(Pod, SYSTEM, pod!.metadata.name);
    // The old one may still answer webhooks while it ends.
    await waitFor(
      "another pod, alone and ready",
      async () => (await pods()).items,
      (items) =>
        items.length === 1 && items[0]?.metadata.uid !== pod!.metadata.uid && hasCondition(items[0], "Ready"),
      { timeoutMs: 90_000 },
    );
    const third = await git.commitFiles(
      "main",
      { "README.md": "# Prompts\n", "prompt.yaml": lonePrompt("{{ticket}}?") },
      "Ask",
    );
    await synced(third);
    const users = await usersOf(cluster.auditLogPath!);
    expect(users).toContain(`system:serviceaccount:${SYSTEM}:slipway-controller`);
    expect(users).toContain(`system:serviceaccount:${TEAM}:${TENANT_ACCOUNT}`);
  });
});

/** Who the API server has seen, impersonated users included. */
async function usersOf(file: string): Promise<Set<string>> {
  const { stdout } = await run("cat", [file], { maxBuffer: 256 << 20 });
  const events = stdout
    .split("\n")
    .filter(Boolean)
    .map(
      (line) => JSON.parse(line) as { user: { username: string }; impersonatedUser?: { username: string } },
    );
  return new Set(
    events.flatMap(({ user, impersonatedUser }) => [
      user.username,
      ...(impersonatedUser ? [impersonatedUser.username] : []),
    ]),
  );
}
