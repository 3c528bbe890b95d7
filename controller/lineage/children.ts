import { conditionOf, type Listed, printable, type Readiness } from "./listed.ts";

interface ContainerStatus {
  readonly state?: Readonly<
    Record<string, { readonly reason?: unknown; readonly message?: unknown } | undefined>
  >;
}

interface WorkloadStatus {
  readonly phase?: unknown;
  readonly reason?: unknown;
  readonly replicas?: unknown;
  readonly readyReplicas?: unknown;
  readonly active?: unknown;
  readonly succeeded?: unknown;
  readonly initContainerStatuses?: unknown;
  readonly containerStatuses?: unknown;
}

const NOTHING: Readiness = { ready: "", reason: "", message: "" };
const word = (value: unknown): string => (typeof value === "string" ? printable(value) : "");
const count = (value: unknown): number => (typeof value === "number" ? value : 0);

/** What Kubernetes says of an object that Slipway has made; nothing for what is simply there, such as a ConfigMap. */
export function childReadiness(object: Listed): Readiness {
  if (object.metadata.deletionTimestamp !== undefined)
    return { ready: "False", reason: "Terminating", message: "it is being deleted" };
  const status = (object.status ?? {}) as WorkloadStatus;
  switch (object.kind) {
    case "Pod":
      return podReadiness(object, status);
    case "Job":
      return jobReadiness(object, status);
    case "Deployment":
    case "ReplicaSet":
    case "StatefulSet":
      return replicasReadiness(object, status);
    default:
      return NOTHING;
  }
}

/** A container that waits or has failed says more than the pod: ImagePullBackOff, CrashLoopBackOff, OOMKilled. */
function podReadiness(object: Listed, status: WorkloadStatus): Readiness {
  const phase = word(status.phase) || "Pending";
  if (phase === "Succeeded") return { ready: "True", reason: "Succeeded", message: "" };
  const trouble = containerTrouble(status);
  const ready = conditionOf(object, "Ready");
  if (ready?.ready === "True") return { ready: "True", reason: phase, message: "" };
  const scheduled = conditionOf(object, "PodScheduled");
  const why = trouble ?? (scheduled?.ready === "False" ? scheduled : undefined);
  return { ready: "False", reason: why?.reason || word(status.reason) || phase, message: why?.message ?? "" };
}

function containerTrouble(status: WorkloadStatus): { reason: string; message: string } | undefined {
  const lists = [status.initContainerStatuses, status.containerStatuses];
  for (const container of lists.flatMap((list) => (Array.isArray(list) ? (list as ContainerStatus[]) : []))) {
    for (const state of [container?.state?.waiting, container?.state?.terminated]) {
      const reason = word(state?.reason);
      if (reason !== "" && reason !== "Completed") return { reason, message: word(state?.message) };
    }
  }
  return undefined;
}

function jobReadiness(object: Listed, status: WorkloadStatus): Readiness {
  const failed = conditionOf(object, "Failed");
  if (failed?.ready === "True") return { ...failed, ready: "False" };
  if (conditionOf(object, "Complete")?.ready === "True")
    return { ready: "True", reason: "Complete", message: "" };
  const suspended = conditionOf(object, "Suspended")?.ready === "True";
  const reason = suspended ? "Suspended" : count(status.active) > 0 ? "Running" : "Pending";
  const { completions } = (object.spec ?? {}) as { completions?: unknown };
  return { ready: `${count(status.succeeded)}/${count(completions) || 1}`, reason, message: "" };
}

function replicasReadiness(object: Listed, status: WorkloadStatus): Readiness {
  const { replicas } = (object.spec ?? {}) as { replicas?: unknown };
  const ready = `${count(status.readyReplicas)}/${typeof replicas === "number" ? replicas : 1}`;
  const failing = [conditionOf(object, "ReplicaFailure"), conditionOf(object, "Progressing")].find(
    (condition, i) => condition?.ready === (i === 0 ? "True" : "False"),
  );
  return { ready, reason: failing?.reason ?? "", message: failing?.message ?? "" };
}
