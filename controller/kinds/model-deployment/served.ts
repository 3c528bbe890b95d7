import { z } from "zod";
import { LABEL_REVISION } from "../../../schemas/kind.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { ANNOTATION_SWITCHED_AT, SERVICE_PORT } from "./manifests.ts";
import { ANNOTATION_SERVED, type Served } from "./names.ts";
import type { RevisionState } from "./rollout.ts";

/** A revision as its Deployment, its Service and its pods show it. */
export interface LiveRevision extends RevisionState {
  /** The revision's label: its first digits. */
  readonly label: string;
  readonly served: Served | undefined;
  readonly deployment: KubeObject;
  readonly pods: readonly KubeObject[];
  /** Pods that there are. */
  readonly current: number;
}

const servedSchema = z.object({
  revision: z.string().regex(/^[0-9a-f]{64}$/),
  model: z.string().max(256),
  listed: z.string().max(256),
  absent: z.string().max(256).exactOptional(),
});

/** The revisions that there are, by label. */
export function liveRevisions(
  deployments: readonly KubeObject[],
  pods: readonly KubeObject[],
): ReadonlyMap<string, LiveRevision> {
  const found = new Map<string, LiveRevision>();
  for (const deployment of deployments) {
    const label = deployment.metadata.labels?.[LABEL_REVISION];
    if (label === undefined || deployment.metadata.deletionTimestamp !== undefined) continue;
    const own = pods.filter(({ metadata }) => metadata.labels?.[LABEL_REVISION] === label);
    found.set(label, { label, served: servedIn(deployment), deployment, pods: own, ...stateOf(deployment) });
  }
  return found;
}

function stateOf(deployment: KubeObject): RevisionState & { current: number } {
  const spec = (deployment.spec ?? {}) as { replicas?: number };
  const status = (deployment.status ?? {}) as {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    conditions?: readonly { type: string; status: string; reason?: string }[];
  };
  const settled = status.observedGeneration === deployment.metadata.generation;
  const progressing = status.conditions?.find(({ type }) => type === "Progressing");
  return {
    replicas: spec.replicas ?? 1,
    current: status.replicas ?? 0,
    ready: status.readyReplicas ?? 0,
    settled: settled && (status.updatedReplicas ?? 0) >= (spec.replicas ?? 1),
    exhausted: settled && progressing?.reason === "ProgressDeadlineExceeded",
  };
}

function servedIn({ metadata }: KubeObject): Served | undefined {
  try {
    return servedSchema.parse(JSON.parse(metadata.annotations?.[ANNOTATION_SERVED] ?? ""));
  } catch {
    return undefined;
  }
}

/** The revision that the Service selects, and since when. */
export function activeOf(service: KubeObject | undefined): { label?: string; switchedAt?: string } {
  const selector = (service?.spec as { selector?: Record<string, string> } | undefined)?.selector;
  const label = selector?.[LABEL_REVISION];
  const switchedAt = service?.metadata.annotations?.[ANNOTATION_SWITCHED_AT];
  return { ...(label ? { label } : {}), ...(switchedAt === undefined ? {} : { switchedAt }) };
}

/** Base URL of a Service by its IP: the controller may run where the cluster's DNS is not. */
export function addressOf(service: KubeObject | undefined): string | undefined {
  const ip = (service?.spec as { clusterIP?: string } | undefined)?.clusterIP;
  if (!ip || ip === "None") return undefined;
  const host = ip.includes(":") ? `[${ip}]` : ip;
  return SERVICE_PORT === 80 ? `http://${host}/v1` : `http://${host}:${SERVICE_PORT}/v1`;
}

/** The Deployment of a revision whose spec is gone, as it is but for the number of pods. */
export function keptDeployment({ deployment }: LiveRevision, replicas: number): KubeObject {
  const { name, labels, annotations } = deployment.metadata;
  const own = (all: Record<string, string> | undefined, key: string) =>
    all?.[key] === undefined ? {} : { [key]: all[key] };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name,
      labels: own(labels, LABEL_REVISION),
      annotations: own(annotations, ANNOTATION_SERVED),
    },
    spec: { ...(deployment.spec as object), replicas },
  };
}
