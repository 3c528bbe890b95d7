import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { SlipwayError } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import { controllerObjects, controllerSubject, tenantObjects } from "./rbac.ts";

export interface InstallOptions {
  /** The user of the controller's kubeconfig; undefined for a controller that runs in the cluster. */
  readonly user?: string;
  /** `namespace/serviceaccount` of each tenant. */
  readonly tenants: readonly string[];
}

/** The CRDs of the package, from the sources or the compiled program. */
export async function loadCrds(): Promise<KubeObject[]> {
  const folders = [
    join(import.meta.dirname, "..", "..", "crds"),
    join(import.meta.dirname, "..", "..", "..", "crds"),
  ];
  const folder = folders.find((candidate) => existsSync(candidate));
  if (folder === undefined)
    throw new SlipwayError("CrdsMissing", `no folder crds in ${folders.join(" or ")}`, {
      hint: "reinstall the package",
    });
  const files = (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort();
  return Promise.all(
    files.map(async (name) => parse(await readFile(join(folder, name), "utf8")) as KubeObject),
  );
}

/** Everything a cluster needs before the controller starts, in the order in which to apply it. */
export async function installObjects({ user, tenants }: InstallOptions): Promise<KubeObject[]> {
  const subject = controllerSubject(user);
  return [
    ...(await loadCrds()),
    ...controllerObjects(subject),
    ...tenants.flatMap((tenant) => {
      const [namespace, account, ...rest] = tenant.split("/");
      if (!namespace || !account || rest.length > 0) {
        throw new SlipwayError("InvalidTenant", `${JSON.stringify(tenant)} is not a tenant`, {
          hint: "write NAMESPACE/SERVICEACCOUNT",
        });
      }
      return tenantObjects(namespace, account, subject);
    }),
  ];
}

const PLURALS: Readonly<Record<string, { plural: string; namespaced: boolean }>> = {
  CustomResourceDefinition: { plural: "customresourcedefinitions", namespaced: false },
  Namespace: { plural: "namespaces", namespaced: false },
  ServiceAccount: { plural: "serviceaccounts", namespaced: true },
  ClusterRole: { plural: "clusterroles", namespaced: false },
  ClusterRoleBinding: { plural: "clusterrolebindings", namespaced: false },
  Role: { plural: "roles", namespaced: true },
  RoleBinding: { plural: "rolebindings", namespaced: true },
};

function typeOf(object: KubeObject): ResourceType {
  const known = PLURALS[object.kind];
  if (!known) throw new Error(`no plural for ${object.kind}`);
  const [version, group] = object.apiVersion.split("/").reverse() as [string, string | undefined];
  return { group: group ?? "", version, kind: object.kind, ...known };
}

/** Applies the objects and waits until the API server serves the new types. */
export async function install(
  client: KubeClient,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  for (const object of objects) {
    await client.apply(typeOf(object), object, { fieldManager: "slipway-install", force: true, signal });
  }
  for (const object of objects.filter(({ kind }) => kind === "CustomResourceDefinition")) {
    await established(client, object, signal);
  }
}

async function established(client: KubeClient, crd: KubeObject, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    const live = await client.get(typeOf(crd), undefined, crd.metadata.name, { signal });
    const { conditions = [] } = (live.status ?? {}) as {
      conditions?: { type: string; status: string; message: string }[];
    };
    const bad = conditions.find(({ type, status }) => type === "NonStructuralSchema" && status === "True");
    if (bad) throw new SlipwayError("InvalidCrd", `${crd.metadata.name}: ${bad.message}`);
    if (conditions.some(({ type, status }) => type === "Established" && status === "True")) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new SlipwayError(
    "CrdNotEstablished",
    `the API server does not serve ${crd.metadata.name} after 15 s`,
  );
}
