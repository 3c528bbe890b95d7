import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { parse, stringify } from "yaml";
import { resourceTypeOf } from "../../controller/gitops/apply.ts";
import { install, installObjects } from "../../controller/install/objects.ts";
import { CONTROLLER_ACCOUNT, SYSTEM_NAMESPACE } from "../../controller/install/rbac.ts";
import { KubeClient } from "../../controller/kube/client.ts";
import { isNotFound } from "../../controller/kube/kube-error.ts";
import {
  ConfigMap,
  type KubeObject,
  type ResourceType,
  Secret,
  ServiceAccount,
} from "../../controller/kube/resources.ts";
import { ANNOTATION_ALLOWED_HOSTS, API_VERSION, KINDS } from "../../schemas/index.ts";
import type { RepositorySpec } from "../../schemas/repository.ts";
import { required } from "./env.ts";
import type { Manifest } from "./manifests.ts";
import { waitFor } from "./wait.ts";

export const kubeconfigPath = (): string => required("SLIPWAY_TEST_KUBECONFIG");

/** A client with every right. */
export const adminClient = (): KubeClient =>
  KubeClient.fromKubeconfig({ path: kubeconfigPath(), userAgent: "slipway-test" });

/** A name that no other run has. */
export const uniqueName = (prefix: string): string => `${prefix}-${randomBytes(4).toString("hex")}`;

/** The ServiceAccount of tenants made by {@link makeTenant}. */
export const TENANT_ACCOUNT = "team";

/** Types, the controller's account with its rights, and one tenant: a namespace with the account `team`. */
export async function makeTenant(client: KubeClient, namespace: string): Promise<void> {
  const objects = await installObjects({ tenants: [`${namespace}/${TENANT_ACCOUNT}`] });
  await install(client, objects, AbortSignal.timeout(60_000));
}

/** A token of the controller's own ServiceAccount, so that tests run with its real rights. */
export async function controllerToken(client: KubeClient): Promise<string> {
  const request = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { name: CONTROLLER_ACCOUNT, namespace: SYSTEM_NAMESPACE },
    spec: { audiences: [], expirationSeconds: 36_000 },
  } as KubeObject;
  const answer = await client.create(ServiceAccount, request, { subresource: "token" });
  return (answer.status as { token: string }).token;
}

/** A kubeconfig like the administrator's, but as the controller's ServiceAccount. */
export async function writeControllerKubeconfig(client: KubeClient, file: string): Promise<void> {
  const config = parse(await readFile(kubeconfigPath(), "utf8")) as {
    contexts: { name: string; context: { cluster: string } }[];
    "current-context": string;
    clusters: { name: string }[];
  };
  const current = config.contexts.find(({ name }) => name === config["current-context"]);
  const cluster = config.clusters.find(({ name }) => name === current?.context.cluster);
  const controller = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [cluster],
    users: [{ name: "controller", user: { token: await controllerToken(client) } }],
    contexts: [{ name: "controller", context: { cluster: cluster?.name, user: "controller" } }],
    "current-context": "controller",
  };
  await writeFile(file, stringify(controller), { mode: 0o600 });
}

/** @param allowedHosts where the Secret may be sent; `host:port` for plain http */
export async function createSecret(
  client: KubeClient,
  namespace: string,
  name: string,
  data: Readonly<Record<string, string>>,
  allowedHosts: readonly string[] = [],
): Promise<void> {
  const annotations: Record<string, string> =
    allowedHosts.length > 0 ? { [ANNOTATION_ALLOWED_HOSTS]: allowedHosts.join(",") } : {};
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, annotations },
    stringData: { ...data },
  };
  await client.apply(Secret, object, { fieldManager: "test", force: true });
}

export async function applyRepository(
  client: KubeClient,
  namespace: string,
  name: string,
  spec: Partial<RepositorySpec> & Pick<RepositorySpec, "url">,
): Promise<void> {
  const object = {
    apiVersion: API_VERSION,
    kind: "Repository",
    metadata: { name, namespace },
    spec: { serviceAccountName: TENANT_ACCOUNT, ...spec },
  };
  await client.apply(resourceTypeOf("Repository"), object, { fieldManager: "test", force: true });
}

/** Any object of ours, as somebody with every right applies it by hand. */
export async function applyObject(
  client: KubeClient,
  namespace: string,
  { apiVersion, kind, metadata, spec }: Manifest,
): Promise<void> {
  const object = { apiVersion, kind, metadata: { ...metadata, namespace }, spec };
  await client.apply(resourceTypeOf(kind), object as unknown as KubeObject, {
    fieldManager: "test",
    force: true,
  });
}

/** The type of a kind of Slipway's, or ConfigMap. */
export function typeOf(kind: string): ResourceType {
  return kind === "ConfigMap" ? ConfigMap : resourceTypeOf(kind);
}

export function listObjects(client: KubeClient, kind: string, namespace: string): Promise<KubeObject[]> {
  return client.list(typeOf(kind), { namespace }).then(({ items }) => items);
}

/** The object, or undefined when there is none. */
export async function getObject<T = KubeObject>(
  client: KubeClient,
  kind: string,
  namespace: string,
  name: string,
): Promise<T | undefined> {
  try {
    return (await client.get(typeOf(kind), namespace, name)) as T;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export interface Conditioned {
  readonly metadata: { readonly generation?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
    }[];
  };
}

/** True when the object says so about its present generation. */
export function hasCondition(object: unknown, type: string, status = "True"): boolean {
  const { metadata, status: said } = (object ?? { metadata: {} }) as Conditioned;
  return (
    said?.observedGeneration === metadata.generation &&
    said?.conditions?.some((condition) => condition.type === type && condition.status === status) === true
  );
}

/** Waits for an object to be as wanted; the error shows its last status. */
export function waitForObject<T = KubeObject>(
  client: KubeClient,
  [kind, namespace, name]: readonly [string, string, string],
  what: string,
  wanted: (object: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  return waitFor(
    `${kind} ${namespace}/${name} ${what}`,
    () => getObject<T>(client, kind, namespace, name),
    (object) => object !== undefined && wanted(object),
    {
      timeoutMs,
      show: (object) => (object as { status?: unknown } | undefined)?.status ?? "no such object or no status",
    },
  ) as Promise<T>;
}

/** Deletes what a test leaves, so that the next controller does not follow it. */
export async function clearNamespace(client: KubeClient, namespace: string): Promise<void> {
  // What makes runs goes before them, or they would come again.
  const kinds = KINDS.toSorted((a, b) => Number(a.internal ?? false) - Number(b.internal ?? false));
  for (const kind of [...kinds.map((definition) => definition.kind), "ConfigMap"]) {
    for (const { metadata } of await listObjects(client, kind, namespace)) {
      await client.delete(typeOf(kind), namespace, metadata.name).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
  }
}
