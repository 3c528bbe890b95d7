import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { listAll, SLIPWAY_TYPES } from "../../controller/cli/listed.ts";
import { blobDigest } from "../../controller/graph/canonical.ts";
import { nodeKey } from "../../controller/graph/graph.ts";
import type { KubeClient } from "../../controller/kube/client.ts";
import {
  ConfigMap,
  Deployment,
  Job,
  type KubeObject,
  Secret,
  Service,
} from "../../controller/kube/resources.ts";
import { lineageGraph } from "../../controller/lineage/lineage.ts";
import { lineageData } from "../../controller/lineage/show.ts";
import { lineageOf } from "../../controller/lineage/walk.ts";
import type { Dataset } from "../../schemas/dataset.ts";
import type { FineTuneJob } from "../../schemas/fine-tune-job.ts";
import { LABEL_REVISION } from "../../schemas/kind.ts";
import type { MonitorStatus } from "../../schemas/monitor.ts";
import { listObjects } from "../scenario/cluster.ts";
import type { Registered } from "./chain-registry.ts";
import { SERVED } from "./chain-story.ts";
import { mask } from "./mask.ts";

/** What a run of the chain leaves, without what time and chance decide. */
export interface ChainState {
  /** What follows from the rows alone, as it is. */
  readonly digests: unknown;
  /** Runs and versions in MLflow. */
  readonly registered: unknown;
  /** Slipway's own objects in full. */
  readonly objects: readonly string[];
  /** Of what they own: kind, name, pods, and which revision it is of or leads to. */
  readonly children: readonly string[];
  /** From commit to verdict: nodes and edges. */
  readonly lineage: readonly string[];
}

export async function chainState(
  client: KubeClient,
  namespace: string,
  registered: readonly Registered[],
  names: ReadonlyMap<string, string>,
): Promise<ChainState> {
  const { objects } = await listAll(client, namespace, SLIPWAY_TYPES);
  const lists = await Promise.all(
    [ConfigMap, Secret, Job, Deployment, Service].map((type) => client.list(type, { namespace })),
  );
  const served = nodeKey("ModelDeployment", SERVED);
  const lineage = lineageOf(lineageGraph(objects, undefined), served);
  if (!lineage) throw new Error(`${served} has no lineage, so there is none to compare`);
  const shown = (value: unknown) => JSON.stringify(maskNames(mask(value, names)));
  return {
    digests: mask(await digestsOf(client, namespace), names),
    registered: mask(registered, names),
    objects: objects.map((object) => shown(withoutUnmeasured(object))).sort(),
    children: lists
      .flatMap(({ items }) => items.map(summaryOf))
      .map(shown)
      .sort(),
    lineage: shownLineage(lineageData(lineage), shown),
  };
}

/** In an order that no name decides. */
function shownLineage(
  { nodes, edges }: ReturnType<typeof lineageData>,
  shown: (value: unknown) => string,
): string[] {
  return [...nodes.map(shown).sort(), ...edges.map(shown).sort()];
}

async function digestsOf(client: KubeClient, namespace: string): Promise<unknown> {
  const datasets = (await listObjects(client, "Dataset", namespace)) as unknown as Dataset[];
  const jobs = (await listObjects(client, "FineTuneJob", namespace)) as unknown as FineTuneJob[];
  return {
    datasets: datasets.map(({ metadata, status }) => [metadata.name, status?.revision, status?.artifact]),
    trainings: jobs.map(({ metadata, status }) => {
      const { identity, attempt, state, dataset } = status?.training ?? {};
      return [metadata.name, { identity, attempt, state, dataset }, status?.artifact, status?.model];
    }),
  };
}

function summaryOf({ kind, metadata, spec }: KubeObject): object {
  const { replicas, selector } = (spec ?? {}) as {
    replicas?: number;
    selector?: Record<string, unknown>;
  };
  return {
    ...{ kind, name: metadata.name, revision: metadata.labels?.[LABEL_REVISION], replicas },
    leadsTo: kind === "Service" ? selector?.[LABEL_REVISION] : undefined,
  };
}

/**
 * Whether a Monitor has a state before its first replay has a value depends on what comes up first, its endpoint or the
 * suite. That transition is no difference; those after it are counted as if it had not been.
 */
export function withoutUnmeasured(object: object): object {
  const { status } = object as { status?: MonitorStatus };
  const first = status?.history?.at(-1);
  if (!status?.history || first?.id !== 1 || first.value !== undefined) return object;
  const history = status.history.slice(0, -1).map(({ from, ...transition }) => ({
    ...(transition.id === 2 ? {} : { from }),
    ...{ ...transition, id: transition.id - 1 },
  }));
  const actions = status.actions?.map(({ delivered, ...action }) => ({
    ...(delivered === undefined ? {} : { delivered: delivered - 1 }),
    ...action,
  }));
  return { ...object, status: { ...status, history, actions } };
}

/**
 * Digests, names that end in one, what the API server adds to a pod's name, addresses of Services, and when something
 * happened: they depend on uids, addresses and the clock.
 */
function maskNames(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID")
    // A commit is shown with twelve digits of which the names of a run replace eight.
    .replace(/<(first|second)>[0-9a-f]{4}\b/g, "<$1>")
    .replace(/[0-9a-f]{64}|(?<=-)[0-9a-f]{12,40}|(?<=")[0-9a-f]{12}(?=")/g, "HEX")
    .replace(/-HEX-[a-z0-9]{5}\b/g, "-HEX-POD")
    .replace(/http:\/\/10\.[0-9.]+/g, "http://SERVICE")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
  return JSON.parse(text);
}

/** Blobs that are not what their name says, and what was left half written. */
export async function damagedBlobs(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const named = /sha256\/([0-9a-f]{2})\/([0-9a-f]+)$/.exec(path);
    const digest = blobDigest(await readFile(path));
    if (!named || digest !== `sha256:${named[1]}${named[2]}`) found.push(path.slice(folder.length + 1));
  }
  return found;
}
