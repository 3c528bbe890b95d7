import type { KubeObject } from "../../kube/resources.ts";
import { plainText } from "./reports.ts";

/** What keeps a training from going on, as the Job and its pods show it. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
  /** No other pod would fare better. */
  readonly final: boolean;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
  readonly containerStatuses?: readonly { readonly ready?: boolean; readonly state?: ContainerState }[];
}

/** Waiting reasons of the kubelet that speak of the image. */
const IMAGE = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
]);
/** And of what the container refers to: a Secret, a ConfigMap, a program that is not in the image. */
const CONFIG = new Set(["CreateContainerConfigError", "CreateContainerError", "RunContainerError"]);

/** Exit statuses of workers/trainer/README.md. */
const EXIT_CODES: Readonly<Record<number, string>> = {
  2: "BadSpec",
  3: "UnknownBaseModel",
  4: "BadDataset",
  5: "DatasetDigestMismatch",
  6: "NonFiniteLoss",
  7: "OutOfMemory",
  8: "ControllerUnreachable",
  9: "MLflowUnavailable",
  10: "HubUnreachable",
};

/** What the trainer says no other pod would do better. */
export const FINAL_CODES: ReadonlySet<string> = new Set([
  "BadSpec",
  "UnknownBaseModel",
  "BadDataset",
  "DatasetDigestMismatch",
  "NonFiniteLoss",
  "OutOfMemory",
]);
export const FINAL_EXIT_CODES: readonly number[] = [2, 3, 4, 5, 6, 7];

/** The pod that was made last. */
export function latestPod(pods: readonly KubeObject[]): KubeObject | undefined {
  const created = (pod: KubeObject) => pod.metadata.creationTimestamp ?? "";
  return pods.toSorted((a, b) => (created(a) < created(b) ? 1 : created(a) > created(b) ? -1 : 0))[0];
}

/** What libraries write before they abort because an allocation failed: no Python error comes of it. */
const MEMORY_SIGN =
  /std::bad_alloc|cannot allocate memory|failed to allocate|out of memory|OOM when allocating/i;
/** 128 and SIGABRT. */
const ABORTED = 134;

/**
 * What a pod that ended for want of memory, without a word of the trainer's own, died of; undefined for others. Its Job
 * takes such an end for one that another pod may do better.
 */
export function memoryDeath({ metadata, status }: KubeObject): string | undefined {
  const { containerStatuses } = (status ?? {}) as PodStatus;
  const { reason, exitCode, message = "" } = containerStatuses?.[0]?.state?.terminated ?? {};
  if (reason === "OOMKilled")
    return `pod ${metadata.name} was killed by the kernel for using more memory than its limit (OOMKilled)`;
  if (exitCode === ABORTED && terminationMessage(message) === undefined && MEMORY_SIGN.test(message))
    return `pod ${metadata.name} was given no more memory and aborted (exit status ${exitCode})`;
  return undefined;
}

/** Why this pod does not train; undefined while nothing is wrong with it. */
export function podTrouble(pod: KubeObject): Trouble | undefined {
  const status = (pod.status ?? {}) as PodStatus;
  const { name } = pod.metadata;
  const said = status.containerStatuses?.[0];
  const { waiting, terminated } = said?.state ?? {};
  const trouble = (reason: string, message: string, final = false): Trouble => ({ reason, message, final });
  const death = memoryDeath(pod);
  if (death !== undefined) {
    return trouble(
      "OutOfMemory",
      `${death}: raise spec.pod.resources.limits.memory, lower hyperparameters.batchSize or maxSequenceLength and raise gradientAccumulation instead, or train an adapter`,
      true,
    );
  }
  if (status.reason === "Evicted")
    return trouble("Evicted", `pod ${name} was evicted: ${plainText(status.message ?? "no reason given")}`);
  if (terminated && terminated.exitCode !== 0) return ended(name, terminated);
  if (waiting?.reason !== undefined && IMAGE.has(waiting.reason)) {
    return trouble(
      "ImagePullFailed",
      `pod ${name} cannot get its image (${waiting.reason}): ${plainText(waiting.message ?? "")}. Correct spec.pod.image, or give spec.pod.imagePullSecrets; it is tried again`,
    );
  }
  if (waiting?.reason !== undefined && CONFIG.has(waiting.reason)) {
    return trouble(
      "ContainerFailed",
      `the container of pod ${name} cannot be made (${waiting.reason}): ${plainText(waiting.message ?? "")}`,
    );
  }
  const condition = (type: string) => status.conditions?.find((each) => each.type === type);
  const scheduled = condition("PodScheduled");
  if (scheduled?.status === "False") {
    return trouble(
      "Unschedulable",
      `no node takes pod ${name}: ${plainText(scheduled.message ?? "no reason given")}. See spec.pod.resources, nodeSelector and tolerations`,
    );
  }
  // The node's controller takes Ready away; the container still shows what the kubelet said last.
  if (condition("Ready")?.status === "False" && said?.ready === true && status.phase === "Running") {
    const { nodeName = "unknown" } = (pod.spec ?? {}) as { nodeName?: string };
    return trouble(
      "NodeLost",
      `node ${nodeName} of pod ${name} does not answer: the training goes on from its last checkpoint when the node is back, or on another one once it is deleted (kubectl delete node ${nodeName})`,
    );
  }
  return undefined;
}

/** The trainer's own words, where it could write them; else what its exit status stands for. */
function ended(
  pod: string,
  { exitCode, reason = "", message = "" }: NonNullable<ContainerState["terminated"]>,
): Trouble | undefined {
  // It was asked to stop, and the next pod goes on.
  if (exitCode === 143) return undefined;
  const told = terminationMessage(message);
  const code = told?.code ?? EXIT_CODES[exitCode] ?? "TrainerFailed";
  const text =
    told?.message ??
    `it ended with exit status ${exitCode} ${plainText(reason, 64)}; see kubectl logs ${pod}`;
  return { reason: code, message: `pod ${pod}: ${text}`, final: FINAL_CODES.has(code) };
}

function terminationMessage(text: string): { code: string; message: string } | undefined {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    if (typeof code !== "string" || typeof message !== "string" || !Object.values(EXIT_CODES).includes(code))
      return undefined;
    return { code, message: plainText(message) };
  } catch {
    return undefined;
  }
}

/** How the Job stands: it has failed for good, waits for Kueue, or goes on. */
export function jobState(job: KubeObject | undefined): {
  failed?: { readonly reason: string; readonly message: string };
  suspended?: boolean;
  failures: number;
} {
  const { conditions = [], failed = 0 } = (job?.status ?? {}) as {
    conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
    failed?: number;
  };
  const isTrue = (type: string) => conditions.find((each) => each.type === type && each.status === "True");
  const failure = isTrue("Failed") ?? isTrue("FailureTarget");
  return {
    failures: failed,
    ...(isTrue("Suspended") ? { suspended: true } : {}),
    ...(failure
      ? { failed: { reason: failure.reason ?? "", message: plainText(failure.message ?? "") } }
      : {}),
  };
}
