import { describe, expect, test } from "vitest";
import { KINDS } from "../../schemas/index.ts";
import type { KubeObject } from "../kube/resources.ts";
import { installObjects, loadCrds } from "./objects.ts";

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };
const rulesOf = (objects: readonly KubeObject[], name: string) =>
  (objects.find(({ kind, metadata }) => /Role$/.test(kind) && metadata.name === name) as { rules?: Rule[] })
    ?.rules ?? [];
const grants = (rules: readonly Rule[], resource: string) =>
  rules.filter(({ resources }) => resources.includes(resource) || resources.includes("*"));

test("there is a CRD for every kind", async () => {
  const names = (await loadCrds()).map(({ metadata }) => metadata.name);
  expect(names.sort()).toEqual(KINDS.map(({ plural }) => `${plural}.slipway.dev`).sort());
});

test("what others need comes first: types, then namespaces, then what is in them", async () => {
  const kinds = (await installObjects({ tenants: ["team/deployer"] })).map(({ kind }) => kind);
  expect(kinds.lastIndexOf("CustomResourceDefinition")).toBeLessThan(kinds.indexOf("Namespace"));
  expect(kinds.indexOf("Namespace")).toBeLessThan(kinds.indexOf("ServiceAccount"));
  expect(kinds.indexOf("ClusterRole")).toBeLessThan(kinds.indexOf("ClusterRoleBinding"));
});

describe("the controller", () => {
  test("may make Secrets and read none, and has no right to wildcards, or to impersonate at large", async () => {
    const rules = rulesOf(await installObjects({ tenants: [] }), "slipway-controller");
    expect(rules.length).toBeGreaterThan(3);
    expect(grants(rules, "secrets").flatMap(({ verbs }) => verbs)).toEqual(["create"]);
    expect(rules.flatMap(({ verbs, apiGroups }) => [...verbs, ...apiGroups])).not.toContain("*");
    expect(rules.flatMap(({ verbs }) => verbs)).not.toContain("impersonate");
  });

  test("may write the status of every kind, and the spec of none but what it makes", async () => {
    const rules = rulesOf(await installObjects({ tenants: [] }), "slipway-controller");
    for (const { plural, internal } of KINDS) {
      expect(grants(rules, `${plural}/status`).flatMap(({ verbs }) => verbs)).toContain("patch");
      const verbs = grants(rules, plural).flatMap(({ verbs }) => verbs);
      expect(verbs).toEqual(expect.arrayContaining(["get", "list", "watch"]));
      expect(verbs.includes("create"), plural).toBe(internal === true);
    }
  });

  test("is its ServiceAccount, or the user of a kubeconfig", async () => {
    const subjectsOf = async (user?: string) =>
      (await installObjects({ tenants: [], ...(user === undefined ? {} : { user }) }))
        .filter(({ kind }) => kind.endsWith("Binding"))
        .map((binding) => (binding as unknown as { subjects: { kind: string; name: string }[] }).subjects[0]);
    for (const subject of await subjectsOf("ci")) expect(subject).toMatchObject({ kind: "User", name: "ci" });
    for (const subject of await subjectsOf())
      expect(subject).toMatchObject({ kind: "ServiceAccount", name: "slipway-controller" });
  });
});

describe("a tenant", () => {
  test("may be impersonated by name, in its namespace", async () => {
    const objects = await installObjects({ tenants: ["team/deployer", "other/robot"] });
    expect(rulesOf(objects, "slipway-act-as-deployer")).toEqual([
      {
        apiGroups: [""],
        resources: ["serviceaccounts"],
        verbs: ["impersonate"],
        resourceNames: ["deployer"],
      },
    ]);
    const roles = objects.filter(({ metadata }) => metadata.name.startsWith("slipway-act-as-"));
    expect(new Set(roles.map(({ kind }) => kind))).toEqual(new Set(["Role", "RoleBinding"]));
    expect(new Set(roles.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["team", "other"]));
  });

  test("may write the kinds that come from git and read Secrets one by one", async () => {
    const rules = rulesOf(await installObjects({ tenants: ["team/deployer"] }), "slipway-tenant");
    expect(grants(rules, "secrets").flatMap(({ verbs }) => verbs)).toEqual(["get"]);
    expect(grants(rules, "repositories"), "a Repository cannot manage Repositories").toEqual([]);
    expect(grants(rules, "evalruns")).toEqual([]);
  });

  test("leaves another one of its namespace its rights", async () => {
    const objects = await installObjects({ tenants: ["team/deployer", "team/robot"] });
    const bindings = objects.filter(
      ({ kind, roleRef }) =>
        kind === "RoleBinding" && (roleRef as { name: string }).name === "slipway-tenant",
    );
    expect(
      bindings.map(({ metadata, subjects }) => [metadata.name, (subjects as { name: string }[])[0]?.name]),
    ).toEqual([
      ["slipway-tenant-deployer", "deployer"],
      ["slipway-tenant-robot", "robot"],
    ]);
  });

  test.each(["team", "team/", "/deployer", "a/b/c", ""])("%j is none", async (tenant) => {
    await expect(installObjects({ tenants: [tenant] })).rejects.toMatchObject({ code: "InvalidTenant" });
  });
});
