import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { resourceTypeOf } from "../../../controller/gitops/apply.ts";
import { install } from "../../../controller/install/objects.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { serviceAccountIdentity } from "../../../controller/kube/identity.ts";
import { type KubeObject, type ResourceType, Secret } from "../../../controller/kube/resources.ts";
import { KINDS } from "../../../schemas/index.ts";
import { adminClient, createSecret, kubeconfigPath, uniqueName } from "../../scenario/cluster.ts";
import { required } from "../../scenario/env.ts";
import { start, temporaryFolder } from "./slipway.ts";

const USER = "slipway-controller";
const ACCOUNT = "deployer";
const SelfSubjectAccessReview: ResourceType = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  namespaced: false,
};

const NAMESPACE: ResourceType = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
};

const team = uniqueName("rights");
const other = uniqueName("rights-other");
let admin: KubeClient;
let controller: KubeClient;
let exported: KubeObject[];

async function slipway(...args: string[]) {
  await using cache = await temporaryFolder();
  return start(args, cache.path).ended;
}

beforeAll(async () => {
  admin = adminClient();
  controller = KubeClient.fromKubeconfig({ path: required("SLIPWAY_TEST_CONTROLLER_KUBECONFIG") });
  const { code, stdout } = await slipway(
    "install",
    "--export",
    "--user",
    USER,
    "--tenant",
    `${team}/${ACCOUNT}`,
  );
  expect(code).toBe(0);
  exported = parseAllDocuments(stdout).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as KubeObject;
  });
  await install(admin, exported, AbortSignal.timeout(60_000));
  await admin.create(NAMESPACE, { apiVersion: "v1", kind: "Namespace", metadata: { name: other } });
  for (const namespace of [team, other])
    await createSecret(admin, namespace, "key", { apiKey: "k" }, ["api.example.com"]);
});
afterAll(async () => {
  for (const namespace of [team, other]) await admin.delete(NAMESPACE, undefined, namespace);
  await Promise.all([admin.close(), controller.close()]);
});

interface Asked {
  readonly verb: string;
  readonly group?: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

async function may(client: KubeClient, resourceAttributes: Asked): Promise<boolean> {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    metadata: {},
    spec: { resourceAttributes },
  } as unknown as KubeObject;
  const answer = await client.create(SelfSubjectAccessReview, review);
  return (answer.status as { allowed: boolean }).allowed;
}

const group = "slipway.dev";

test("the export has every kind, and says the same as an installation of the same", async () => {
  expect(exported.filter(({ kind }) => kind === "CustomResourceDefinition")).toHaveLength(KINDS.length);
  const { code, stdout } = await slipway(
    ...["install", "--kubeconfig", kubeconfigPath(), "--user", USER, "--tenant", `${team}/${ACCOUNT}`],
  );
  expect(code).toBe(0);
  const names = exported.map(
    ({ kind, metadata }) =>
      `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`,
  );
  expect(stdout.trim().split("\n")).toEqual(names);
});

test("a tenant that is none, and a cluster that cannot be reached, end with 2", async () => {
  expect(await slipway("install", "--export", "--tenant", "nonsense")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("NAMESPACE/SERVICEACCOUNT"),
  });
  expect((await slipway("install", "--kubeconfig", "/nowhere")).code).toBe(2);
});

describe("the controller's user", () => {
  test.each<Asked>([
    ...KINDS.flatMap(({ plural: resource }) => [
      { verb: "watch", group, resource },
      { verb: "patch", group, resource, subresource: "status", namespace: "TEAM" },
    ]),
    { verb: "create", group, resource: "evalruns", namespace: "TEAM" },
    { verb: "delete", group, resource: "evalruns", namespace: "TEAM" },
    { verb: "patch", resource: "configmaps", namespace: "TEAM" },
    // Tokens of its pods, which it never reads (docs/adr/007-tokens-are-created-not-read.md).
    { verb: "create", resource: "secrets", namespace: "TEAM" },
    { verb: "create", group: "events.k8s.io", resource: "events", namespace: "TEAM" },
    { verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "slipway-system" },
    { verb: "impersonate", resource: "serviceaccounts", namespace: "TEAM", name: ACCOUNT },
  ])("may %j", async (asked) => {
    expect(await may(controller, named(asked))).toBe(true);
  });

  test.each<Asked>([
    ...["get", "list", "watch", "patch", "update", "delete"].map((verb) => ({
      verb,
      resource: "secrets",
      namespace: "TEAM",
    })),
    ...["create", "patch", "delete"].map((verb) => ({
      verb,
      group,
      resource: "prompttemplates",
      namespace: "TEAM",
    })),
    { verb: "patch", group, resource: "repositories", namespace: "TEAM" },
    { verb: "impersonate", resource: "serviceaccounts", namespace: "TEAM", name: "default" },
    { verb: "impersonate", resource: "serviceaccounts", namespace: "TEAM" },
    { verb: "impersonate", resource: "serviceaccounts", namespace: "OTHER", name: ACCOUNT },
    { verb: "impersonate", resource: "serviceaccounts", namespace: "kube-system", name: "default" },
    { verb: "impersonate", resource: "users", name: "admin" },
    { verb: "impersonate", resource: "groups", name: "system:masters" },
    { verb: "create", resource: "serviceaccounts", subresource: "token", namespace: "TEAM" },
    { verb: "create", group: "rbac.authorization.k8s.io", resource: "rolebindings", namespace: "TEAM" },
    { verb: "escalate", group: "rbac.authorization.k8s.io", resource: "roles", namespace: "TEAM" },
    { verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "kube-system" },
    { verb: "get", resource: "nodes" },
    { verb: "create", resource: "pods", namespace: "TEAM" },
  ])("may not %j", async (asked) => {
    expect(await may(controller, named(asked))).toBe(false);
  });

  test("in fact: reads the tenant's Secret only as the tenant, and nobody else's", async () => {
    const asTenant = controller.as(serviceAccountIdentity(team, ACCOUNT));
    expect((await asTenant.get(Secret, team, "key")).metadata.name).toBe("key");
    const refused = { status: 403 };
    await expect(controller.get(Secret, team, "key")).rejects.toMatchObject(refused);
    await expect(asTenant.get(Secret, other, "key")).rejects.toMatchObject(refused);
    await expect(asTenant.list(Secret, { namespace: team })).rejects.toMatchObject(refused);
    for (const [namespace, account] of [
      [team, "default"],
      [other, ACCOUNT],
      ["kube-system", "default"],
    ] as const) {
      const as = controller.as(serviceAccountIdentity(namespace, account));
      await expect(as.get(Secret, team, "key")).rejects.toMatchObject(refused);
    }
  });

  test("in fact: a tenant writes prompts in its namespace and nowhere else, and no Repository", async () => {
    const asTenant = controller.as(serviceAccountIdentity(team, ACCOUNT));
    const prompt = (namespace: string): KubeObject => ({
      apiVersion: "slipway.dev/v1alpha1",
      kind: "PromptTemplate",
      metadata: { name: "p", namespace },
      spec: { messages: [{ role: "user", content: "hi" }] },
    });
    const type = resourceTypeOf("PromptTemplate");
    const options = { fieldManager: "slipway", force: true };
    expect((await asTenant.apply(type, prompt(team), options)).metadata.namespace).toBe(team);
    await expect(asTenant.apply(type, prompt(other), options)).rejects.toMatchObject({ status: 403 });
    await expect(asTenant.list(resourceTypeOf("Repository"), { namespace: team })).rejects.toMatchObject({
      status: 403,
    });
  });
});

/** Names in the tables above stand for namespaces that only this run has. */
function named(asked: Asked): Asked {
  const namespaces: Record<string, string> = { TEAM: team, OTHER: other };
  const namespace = namespaces[asked.namespace ?? ""] ?? asked.namespace;
  return namespace === undefined ? asked : { ...asked, namespace };
}
