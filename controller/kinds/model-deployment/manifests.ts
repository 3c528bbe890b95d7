import { durationMs } from "../../../schemas/common.ts";
import { FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_REVISION } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { InCluster } from "../../../schemas/model-deployment-in-cluster.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { fetchContainers } from "./fetch-containers.ts";
import {
  ANNOTATION_SERVED,
  cacheName,
  childName,
  type Revision,
  revisionLabel,
  type Served,
  selectorOf,
} from "./names.ts";
import { RUNTIME } from "./runtimes/index.ts";
import type { EnvVar, Runtime } from "./runtimes/types.ts";
import { CLAIMS, claimOf, MODELS } from "./sources.ts";

/** When the Service was moved to another revision. */
export const ANNOTATION_SWITCHED_AT = "slipway.dev/switched-at";
/** The port of every Service, whatever the runtime's own is: clients need not follow a change of the runtime. */
export const SERVICE_PORT = 80;
/** Of the user that fetches models, and of the trainer's image. */
const USER = 65_532;
/** A stopping pod goes on accepting until every node has stopped sending to it. */
const STOP_DELAY_SECONDS = 5;
const PROBE_SECONDS = 5;
const STARTUP_PROBE_SECONDS = 2;

export function imageOf(spec: InCluster): string {
  return spec.image ?? RUNTIME[spec.runtime].image({ gpus: spec.gpu?.count ?? 0 });
}

export function servedOf({ revision, serving, spec }: Revision): Served {
  const runtime = RUNTIME[spec.runtime];
  const absent = runtime.absentModel?.(serving);
  return {
    revision,
    model: runtime.clientModel(serving),
    listed: runtime.listedModel(serving),
    ...(absent === undefined ? {} : { absent }),
  };
}

/** The Service that clients use. */
export function mainService(deployment: ModelDeployment, revision: string, switchedAt: string): KubeObject {
  return {
    ...service(deployment.metadata.name, selectorOf(deployment, revision)),
    metadata: { name: deployment.metadata.name, annotations: { [ANNOTATION_SWITCHED_AT]: switchedAt } },
  };
}

/** A Service of one revision alone: for the gates before it serves, and for evaluations of exactly this one. */
export function revisionService(deployment: ModelDeployment, revision: string): KubeObject {
  return service(childName(deployment, revision), selectorOf(deployment, revision));
}

/** A Service as it is: what it selects may be no revision that is known now. */
export function keptService({ metadata, spec }: KubeObject): KubeObject {
  const { selector } = spec as { selector: Record<string, string> };
  const switchedAt = metadata.annotations?.[ANNOTATION_SWITCHED_AT];
  return {
    ...service(metadata.name, selector),
    metadata: {
      name: metadata.name,
      ...(switchedAt === undefined ? {} : { annotations: { [ANNOTATION_SWITCHED_AT]: switchedAt } }),
    },
  };
}

function service(name: string, selector: Record<string, string>): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: {
      selector,
      ports: [{ name: "http", port: SERVICE_PORT, targetPort: "http", protocol: "TCP" }],
    },
  };
}

export function cacheClaim(deployment: ModelDeployment, { cache }: InCluster): KubeObject | undefined {
  if (!cache) return undefined;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: cacheName(deployment) },
    spec: {
      accessModes: [cache.accessMode],
      resources: { requests: { storage: cache.size } },
      ...(cache.storageClassName === undefined ? {} : { storageClassName: cache.storageClassName }),
    },
  };
}

/** The Deployment of one revision. */
export function revisionDeployment(of: Revision, replicas: number): KubeObject {
  const { deployment, spec, revision } = of;
  const selector = selectorOf(deployment, revision);
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: childName(deployment, revision),
      labels: { [LABEL_REVISION]: revisionLabel(revision) },
      annotations: { [ANNOTATION_SERVED]: JSON.stringify(servedOf(of)) },
    },
    spec: {
      replicas,
      selector: { matchLabels: selector },
      revisionHistoryLimit: 1,
      // After this without progress the revision is given up.
      progressDeadlineSeconds: seconds(spec.startupTimeout),
      strategy:
        spec.rollout?.strategy === "Recreate"
          ? { type: "Recreate" }
          : // A change that is no other revision (resources, tolerations): never fewer pods than asked for.
            { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: {
          labels: {
            ...spec.podTemplate?.labels,
            "app.kubernetes.io/name": spec.runtime.toLowerCase(),
            "app.kubernetes.io/instance": deployment.metadata.name,
            [LABEL_MANAGED_BY]: FIELD_MANAGER,
            ...selector,
          },
          annotations: { ...scrape(of), ...spec.podTemplate?.annotations },
        },
        spec: podSpec(of),
      },
    },
  };
}

/** As Prometheus' usual pod discovery reads them. */
function scrape({ spec, serving }: Revision): Record<string, string> {
  const { metricsPath } = RUNTIME[spec.runtime];
  if (metricsPath === undefined) return {};
  return {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(serving.port),
    "prometheus.io/path": metricsPath,
  };
}

function podSpec(of: Revision): Record<string, unknown> {
  const { spec, sources, deployment } = of;
  const runtime = RUNTIME[spec.runtime];
  const {
    labels: _,
    annotations: __,
    env: ___,
    resources: ____,
    imagePullPolicy: _____,
    ...options
  } = spec.podTemplate ?? {};
  const claims = [...new Set(sources.flatMap(({ resolved }) => claimOf(resolved)?.name ?? []))];
  const fetched = sources.some(({ resolved }) => !claimOf(resolved));
  return {
    ...options,
    // Requests that were begun may end, after the delay in which new ones still arrive.
    terminationGracePeriodSeconds: STOP_DELAY_SECONDS + seconds(spec.drainTimeout),
    automountServiceAccountToken: false,
    // A Service named vllm would set VLLM_PORT, which vLLM reads.
    enableServiceLinks: false,
    securityContext: { fsGroup: USER, seccompProfile: { type: "RuntimeDefault" } },
    ...(fetched ? { initContainers: fetchContainers(of, USER) } : {}),
    containers: [serverContainer(of, runtime, fetched, claims)],
    volumes: [
      { name: "tmp", emptyDir: {} },
      ...(fetched
        ? [
            spec.cache
              ? { name: "models", persistentVolumeClaim: { claimName: cacheName(deployment) } }
              : { name: "models", emptyDir: {} },
          ]
        : []),
      ...claims.map((name, i) => ({
        name: `claim-${i}`,
        persistentVolumeClaim: { claimName: name, readOnly: true },
      })),
      ...(runtime.sharedMemory ? [{ name: "shm", emptyDir: { medium: "Memory" } }] : []),
      ...(runtime.scratch === undefined ? [] : [{ name: "scratch", emptyDir: {} }]),
    ],
  };
}

function serverContainer(
  { spec, serving }: Revision,
  runtime: Runtime,
  fetched: boolean,
  claims: readonly string[],
): Record<string, unknown> {
  const { podTemplate = {} } = spec;
  const command = spec.command ?? runtime.command;
  const args = [...runtime.args(serving), ...spec.args];
  const health = { httpGet: { path: spec.healthPath ?? runtime.healthPath, port: "http" } };
  const ready = runtime.readyCommand ? { exec: { command: runtime.readyCommand(serving) } } : health;
  return {
    name: "server",
    image: imageOf(spec),
    ...(podTemplate.imagePullPolicy === undefined ? {} : { imagePullPolicy: podTemplate.imagePullPolicy }),
    ...(command.length > 0 ? { command: [...command] } : {}),
    ...(args.length > 0 ? { args } : {}),
    ports: [{ name: "http", containerPort: serving.port, protocol: "TCP" }],
    env: environment(runtime.env?.(serving) ?? [], podTemplate.env ?? []),
    resources: resourcesOf(spec),
    // Loading may take hours, and must not be taken for a hang: liveness begins when this one has succeeded.
    startupProbe: {
      ...ready,
      // Often, so that a small server is not waited for.
      periodSeconds: STARTUP_PROBE_SECONDS,
      timeoutSeconds: PROBE_SECONDS,
      failureThreshold: Math.ceil(seconds(spec.startupTimeout) / STARTUP_PROBE_SECONDS),
    },
    readinessProbe: {
      ...ready,
      periodSeconds: PROBE_SECONDS,
      timeoutSeconds: PROBE_SECONDS,
      failureThreshold: 2,
    },
    // A busy server answers late: only one that is silent for two minutes is started anew.
    livenessProbe: { ...health, periodSeconds: 15, timeoutSeconds: 10, failureThreshold: 8 },
    lifecycle: { preStop: { sleep: { seconds: STOP_DELAY_SECONDS } } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    volumeMounts: [
      { name: "tmp", mountPath: "/tmp" },
      ...(fetched ? [{ name: "models", mountPath: MODELS, readOnly: true }] : []),
      ...claims.map((name, i) => ({ name: `claim-${i}`, mountPath: `${CLAIMS}/${name}`, readOnly: true })),
      ...(runtime.sharedMemory ? [{ name: "shm", mountPath: "/dev/shm" }] : []),
      ...(runtime.scratch === undefined ? [] : [{ name: "scratch", mountPath: runtime.scratch }]),
    ],
  };
}

/** The user's own values win, also over the runtime's. */
function environment(own: readonly EnvVar[], users: readonly EnvVar[]): EnvVar[] {
  const named = new Set(users.map(({ name }) => name));
  return [...own.filter(({ name }) => !named.has(name)), ...users];
}

/** GPUs are limits: they cannot be overcommitted, and the request follows. */
function resourcesOf({ gpu, podTemplate }: InCluster): Record<string, unknown> {
  const { requests, limits } = podTemplate?.resources ?? {};
  const gpus = gpu ? { [gpu.resource]: String(gpu.count) } : {};
  const all = { ...limits, ...gpus };
  return {
    ...(requests ? { requests } : {}),
    ...(Object.keys(all).length > 0 ? { limits: all } : {}),
  };
}

/** How long what served before is kept after the Service has moved. */
export const drainMs = ({ drainTimeout }: InCluster): number => durationMs(drainTimeout);

/** How long a pod may take from its start to serving. */
export const startupMs = ({ startupTimeout }: InCluster): number => durationMs(startupTimeout);

const seconds = (duration: string) => Math.max(1, Math.ceil(durationMs(duration) / 1000));
