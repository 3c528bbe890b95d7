import type { KubeObject } from "../../kube/resources.ts";
import type { Missing } from "./sources.ts";

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly exitCode?: number; readonly reason?: string; readonly message?: string };
}

interface ContainerStatus {
  readonly name: string;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
  readonly restartCount?: number;
}

interface PodStatus {
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

const PULL = new Set(["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"]);
const CONFIG = new Set(["CreateContainerConfigError", "CreateContainerError", "RunContainerError"]);
/** A pod's own words are shown, and bounded. */
const MAX_WORDS = 1_000;

/** Why a revision's pods do not serve yet; undefined when nothing is known to be wrong. */
export function podTrouble(pods: readonly KubeObject[]): Missing | undefined {
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const found = troubleOf(pod);
    if (found) return { ...found, message: `pod ${pod.metadata.name}: ${found.message}` };
  }
  return undefined;
}

/** How far pods are that have no trouble. */
export function podProgress(pods: readonly KubeObject[]): string {
  const fetching = pods.some(({ status }) =>
    ((status as PodStatus | undefined)?.initContainerStatuses ?? []).some(({ state }) => state?.running),
  );
  if (pods.length === 0) return "its pods are being made";
  return fetching ? "the model is being fetched" : "the server is loading the model";
}

/**
 * When the oldest pod has had its time to start, in ms since the epoch; undefined while there is none. The Deployment's own
 * deadline counts for its first pods alone: one that is scaled up again has no deadline any more.
 */
export function startDeadline(pods: readonly KubeObject[], timeoutMs: number): number | undefined {
  const started = pods.flatMap(({ metadata: { creationTimestamp, deletionTimestamp } }) =>
    creationTimestamp === undefined || deletionTimestamp !== undefined ? [] : [Date.parse(creationTimestamp)],
  );
  return started.length === 0 ? undefined : Math.min(...started) + timeoutMs;
}

function troubleOf({ status, metadata }: KubeObject): Missing | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const { conditions = [], initContainerStatuses = [], containerStatuses = [] } = (status ?? {}) as PodStatus;
  const scheduled = conditions.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason === "Unschedulable")
    return { reason: "Unschedulable", message: words(scheduled.message ?? "no node has room for it") };
  for (const container of initContainerStatuses) {
    const found = waiting(container) ?? fetchTrouble(container);
    if (found) return found;
  }
  for (const container of containerStatuses) {
    const found = waiting(container) ?? crash(container);
    if (found) return found;
  }
  return undefined;
}

function waiting({ state }: ContainerStatus): Missing | undefined {
  const { reason = "", message = "" } = state?.waiting ?? {};
  if (PULL.has(reason)) return { reason: "ImagePullFailed", message: words(`${reason}: ${message}`) };
  if (CONFIG.has(reason)) return { reason: "PodConfigInvalid", message: words(`${reason}: ${message}`) };
  return undefined;
}

function fetchTrouble(container: ContainerStatus): Missing | undefined {
  const ended = failure(container);
  if (!ended) return undefined;
  const said = ended.message ?? `exit code ${ended.exitCode}`;
  if (ended.reason === "OOMKilled")
    return { reason: "OutOfMemory", message: "fetching the model ran out of memory" };
  return { reason: "ModelFetchFailed", message: words(said) };
}

function crash(container: ContainerStatus): Missing | undefined {
  const ended = failure(container);
  if (!ended) return undefined;
  if (ended.reason === "OOMKilled" || ended.exitCode === 137)
    return {
      reason: "OutOfMemory",
      message: "the server was killed for its memory: raise podTemplate.resources",
    };
  const said = words(ended.message ?? "");
  return {
    reason: "ServerCrashed",
    message: `the server ended with exit code ${ended.exitCode}${said === "" ? "" : `: ${said}`}`,
  };
}

/** How a container ended that is not well now. */
function failure({ state, lastState }: ContainerStatus) {
  const now = state?.terminated;
  if (now) return now.exitCode === 0 ? undefined : now;
  const last = lastState?.terminated;
  // It may be well again: then readiness says so, and this is only why it is not ready yet.
  return last && last.exitCode !== 0 ? last : undefined;
}

function words(text: string): string {
  const plain = text.replace(/\p{Cc}+/gu, " ").trim();
  // The end of a log says more than its beginning.
  return plain.length > MAX_WORDS ? `…${plain.slice(-MAX_WORDS)}` : plain;
}
