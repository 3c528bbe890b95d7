import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { applyChecked, conflictingManagers, ownedFieldsHash } from "../../../controller/kube/apply.ts";
import { serviceAccountIdentity } from "../../../controller/kube/identity.ts";
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
} from "../../../controller/kube/kube-error.ts";
import {
  ConfigMap,
  Deployment,
  type KubeObject,
  Role,
  RoleBinding,
  ServiceAccount,
} from "../../../controller/kube/resources.ts";
import { waitFor } from "../../scenario/wait.ts";
import { type TestNamespace, testNamespace } from "./cluster.ts";

let test: TestNamespace;
beforeAll(async () => {
  test = await testNamespace();
});
afterAll(() => test[Symbol.asyncDispose]());

function map(name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: test.namespace }, data };
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => "no error",
    (error: unknown) => error,
  );

describe("CRUD", () => {
  it("creates, reads, replaces under a lock, patches and deletes", async () => {
    const { client, namespace } = test;
    const made = await client.create(ConfigMap, map("crud", { a: "1" }));
    expect(isAlreadyExists(await failure(client.create(ConfigMap, map("crud"))))).toBe(true);
    const changed = await client.replace(ConfigMap, { ...made, data: { a: "2" } });
    expect(isConflict(await failure(client.replace(ConfigMap, { ...made, data: { a: "3" } })))).toBe(true);
    const patched = await client.patch(
      ConfigMap,
      namespace,
      "crud",
      { data: { b: "4" } },
      {
        contentType: "application/merge-patch+json",
      },
    );
    expect(patched.data).toEqual({ a: "2", b: "4" });
    const stale = { preconditions: { resourceVersion: changed.metadata.resourceVersion! } };
    expect(isConflict(await failure(client.delete(ConfigMap, namespace, "crud", stale)))).toBe(true);
    await client.delete(ConfigMap, namespace, "crud", { preconditions: { uid: made.metadata.uid! } });
    expect(isNotFound(await failure(client.get(ConfigMap, namespace, "crud")))).toBe(true);
  });

  it("lists in pages, by label, and metadata alone", async () => {
    const { client, namespace } = test;
    for (const name of ["l1", "l2", "l3"]) {
      const object = map(name, { big: "x" });
      object.metadata.labels = { list: name === "l3" ? "no" : "yes" };
      await client.create(ConfigMap, object);
    }
    const first = await client.list(ConfigMap, { namespace, labelSelector: "list", limit: 2 });
    expect(first.items.map((item) => item.metadata.name)).toEqual(["l1", "l2"]);
    const rest = await client.list(ConfigMap, {
      namespace,
      labelSelector: "list",
      limit: 2,
      continue: first.continue!,
    });
    expect(rest.items.map((item) => item.metadata.name)).toEqual(["l3"]);
    expect(rest.continue).toBeUndefined();
    const [only] = (await client.list(ConfigMap, { namespace, labelSelector: "list=no", metadataOnly: true }))
      .items;
    expect(only).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "l3" } });
    expect(only).not.toHaveProperty("data");
  });

  it("reports an invalid object with its fields", async () => {
    const bad = { ...map("Not_A_Name") };
    const error = await failure(test.client.create(ConfigMap, bad));
    expect(isInvalid(error)).toBe(true);
    expect(error).toMatchObject({ causes: [{ field: "metadata.name" }] });
  });

  it("knows the server's version", async () => {
    expect((await test.client.serverVersion()).gitVersion).toMatch(/^v1\.\d+\./);
  });
});

describe("apply", () => {
  it("writes nothing in a dry run and refuses unknown fields when strict", async () => {
    const { client, namespace } = test;
    const options = { fieldManager: "slipway" };
    await client.apply(ConfigMap, map("dry", { a: "1" }), { ...options, dryRun: true });
    expect(isNotFound(await failure(client.get(ConfigMap, namespace, "dry")))).toBe(true);
    const odd = { ...map("dry"), dta: {} };
    const error = await failure(client.apply(ConfigMap, odd, { ...options, fieldValidation: "Strict" }));
    expect(error).toMatchObject({ status: 400, message: expect.stringContaining("dta") });
  });

  it("names the manager whose field it would take", async () => {
    const { client } = test;
    await client.apply(ConfigMap, map("shared", { a: "1" }), { fieldManager: "somebody" });
    const error = await failure(
      applyChecked(client, ConfigMap, map("shared", { a: "2" }), { fieldManager: "slipway" }),
    );
    expect(conflictingManagers(error)).toEqual(["somebody"]);
    expect(error).toMatchObject({ status: 409, hint: expect.stringContaining(".data.a belong to somebody") });
    const taken = await applyChecked(client, ConfigMap, map("shared", { a: "2" }), {
      fieldManager: "slipway",
      force: true,
    });
    expect(taken.data).toEqual({ a: "2" });
  });

  it("notices by the hash of owned fields what others did to ours, and only that", async () => {
    const { client, namespace } = test;
    const options = { fieldManager: "slipway" };
    const labels = { app: "hash" };
    const deployment: KubeObject = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "hash", namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "none.invalid/c" }] } },
      },
    };
    const first = await applyChecked(client, Deployment, deployment, options);
    const hash = ownedFieldsHash(first, "slipway");
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(ownedFieldsHash(first, "nobody")).toBeUndefined();
    await waitFor(
      "an apply that writes nothing, once the Deployment's controller has written its status",
      async () => ({
        before: (await client.get(Deployment, namespace, "hash")).metadata.resourceVersion,
        after: (await applyChecked(client, Deployment, deployment, options)).metadata.resourceVersion,
      }),
      ({ before, after }) => before === after,
    );

    const merge = { contentType: "application/merge-patch+json", fieldManager: "other" } as const;
    const annotated = await client.patch(
      Deployment,
      namespace,
      "hash",
      { metadata: { annotations: { x: "y" } } },
      merge,
    );
    expect(ownedFieldsHash(annotated, "slipway")).toBe(hash);
    // Valid whatever the Deployment's controller has written meanwhile.
    const status = { status: { observedGeneration: 1, replicas: 1 } };
    const reported = await client.patch(Deployment, namespace, "hash", status, {
      ...merge,
      subresource: "status",
    });
    expect(ownedFieldsHash(reported, "slipway")).toBe(hash);
    const scaled = await client.patch(Deployment, namespace, "hash", { spec: { replicas: 5 } }, merge);
    expect(ownedFieldsHash(scaled, "slipway")).not.toBe(hash);
    // Ours again, by force: the other manager owns it together with us no longer.
    const back = await applyChecked(client, Deployment, deployment, { ...options, force: true });
    expect(ownedFieldsHash(back, "slipway")).toBe(hash);
  });
});

describe("impersonation", () => {
  it("has the ServiceAccount's rights, those of its groups, and no others", async () => {
    const { client, namespace } = test;
    const meta = (name: string) => ({ name, namespace });
    await client.create(ServiceAccount, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: meta("tenant"),
    });
    await client.create(Role, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: meta("maps"),
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get"] }],
    });
    const view = client.as(serviceAccountIdentity(namespace, "tenant"));
    await client.create(ConfigMap, map("seen", { a: "1" }));
    expect(isForbidden(await failure(view.get(ConfigMap, namespace, "seen")))).toBe(true);
    await client.create(RoleBinding, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: meta("maps"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "maps" },
      // To the group, which the request does not name: the server derives it from the account.
      subjects: [
        { apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: `system:serviceaccounts:${namespace}` },
      ],
    });
    // Authorization follows its own watches, a moment later.
    const seen = await vi.waitFor(() => view.get(ConfigMap, namespace, "seen"), 4_000);
    expect(seen.data).toEqual({ a: "1" });
    expect(isForbidden(await failure(view.delete(ConfigMap, namespace, "seen")))).toBe(true);
  });
});
