import type { Command } from "commander";
import { GROUP, KINDS, type KindDefinition, VERSION } from "../../schemas/index.ts";
import { SlipwayError } from "../errors.ts";
import { KubeClient, type ListOptions } from "../kube/client.ts";
import { isForbidden, isNotFound } from "../kube/kube-error.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import type { Listed } from "../lineage/listed.ts";

const PAGE = 500;
const TIMEOUT_MS = 60_000;

/** Every kind of Slipway's as the API serves it. */
export const SLIPWAY_TYPES: readonly ResourceType[] = KINDS.map(({ kind, plural }) => ({
  group: GROUP,
  version: VERSION,
  kind,
  plural,
  namespaced: true,
}));

export interface ClusterOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** The options of a command that reads one namespace. */
export function namespaceOption(command: Command): Command {
  return command
    .option("-n, --namespace <namespace>", "namespace (default: that of the kubeconfig's context)")
    .option("--kubeconfig <file>", "kubeconfig (default: KUBECONFIG, then ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig");
}

/** Does something with a client and the namespace that is meant, and ends the connections. */
export async function withCluster<T>(
  { namespace, kubeconfig, context }: ClusterOptions,
  action: (client: KubeClient, namespace: string) => Promise<T>,
): Promise<T> {
  const client = KubeClient.fromKubeconfig({
    ...(kubeconfig === undefined ? {} : { path: kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
  try {
    return await action(client, namespace ?? client.defaultNamespace ?? "default");
  } finally {
    await client.close();
  }
}

export interface Listing {
  readonly objects: readonly Listed[];
  /** Kinds that this user may not list. */
  readonly forbidden: readonly string[];
}

/**
 * The objects of some types in a namespace, page by page. A type that the cluster does not have has none.
 * @param bare types of which only the metadata is wanted
 * @throws SlipwayError NothingListed when this user may list none of them
 */
export async function listAll(
  client: KubeClient,
  namespace: string,
  types: readonly ResourceType[],
  bare: readonly ResourceType[] = [],
): Promise<Listing> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const forbidden: string[] = [];
  const lists = await Promise.all(
    [...types, ...bare].map(async (type): Promise<KubeObject[]> => {
      try {
        return await pages(client, type, { namespace, signal, metadataOnly: bare.includes(type) });
      } catch (error) {
        if (isForbidden(error)) forbidden.push(type.kind);
        else if (!isNotFound(error)) throw error;
        return [];
      }
    }),
  );
  if (forbidden.length === types.length + bare.length)
    throw new SlipwayError(
      "NothingListed",
      `you may list nothing of Slipway's in the namespace ${namespace}`,
      {
        hint: "choose a namespace with -n, or ask for the right to list slipway.dev objects",
      },
    );
  return { objects: lists.flat(), forbidden: forbidden.sort() };
}

async function pages(client: KubeClient, type: ResourceType, options: ListOptions): Promise<KubeObject[]> {
  const objects: KubeObject[] = [];
  let next: string | undefined;
  do {
    const page = await client.list(type, {
      ...{ ...options, limit: PAGE },
      ...(next === undefined ? {} : { continue: next }),
    });
    objects.push(...page.items);
    next = page.continue;
  } while (next !== undefined);
  return objects;
}

/** What a user may call a kind: `ModelDeployment`, `modeldeployments`, `mdep`. */
export function kindCalled(name: string): KindDefinition | undefined {
  const wanted = name.toLowerCase();
  return KINDS.find(({ kind, plural, singular, shortNames }) =>
    [kind.toLowerCase(), plural, singular, ...shortNames].includes(wanted),
  );
}
