import type { KubeObject } from "../../kube/resources.ts";
import type { WorkReport } from "../../store/store.ts";
import { jobState, latestPod } from "../fine-tune-job/pods.ts";
import { plainText } from "../fine-tune-job/reports.ts";

export interface Trouble {
  readonly reason: string;
  readonly message: string;
}

interface PodStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly { type: string; status: string; message?: string }[];
  readonly containerStatuses?: readonly {
    readonly state?: {
      readonly waiting?: { readonly reason?: string; readonly message?: string };
      readonly terminated?: { readonly exitCode: number; readonly reason?: string };
    };
  }[];
}

const IMAGE = /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError)$/;
const CONTAINER = /^(CreateContainerConfigError|CreateContainerError|RunContainerError)$/;

/** What keeps a preparation from going on: the pod's own word, then what the cluster says of it. */
export function troubleOf(
  { job, pods }: { readonly job: KubeObject | undefined; readonly pods: readonly KubeObject[] },
  report: WorkReport | undefined,
): { readonly trouble?: Trouble; readonly final: boolean } {
  const pod = latestPod(pods);
  const seen = pod && podTrouble(pod);
  const told = report?.state === "Failed" ? report.error : undefined;
  const where = pod ? `pod ${pod.metadata.name}: ` : "";
  const said = told && { reason: reasonOf(told.code), message: `${where}${plainText(told.message)}` };
  // What the kernel or the kubelet did to it, the pod does not know.
  const trouble = seen ?? said;
  const { failed, failures } = jobState(job);
  if (!failed) return { ...(trouble ? { trouble } : {}), final: false };
  if (!trouble) {
    const message = `${where}the Job has failed (${failed.reason}): ${failed.message}`;
    return { trouble: { reason: "PrepareFailed", message }, final: true };
  }
  const after = failures > 1 ? ` (after ${failures} failed pods)` : "";
  return { trouble: { ...trouble, message: `${trouble.message}${after}` }, final: true };
}

/** A pod's report is not trusted to name a reason: it must look like one. */
const reasonOf = (code: string) => (/^[A-Z][A-Za-z]{1,63}$/.test(code) ? code : "PrepareFailed");

function podTrouble(pod: KubeObject): Trouble | undefined {
  const { reason, message, conditions, containerStatuses } = (pod.status ?? {}) as PodStatus;
  const { waiting, terminated } = containerStatuses?.[0]?.state ?? {};
  const { name } = pod.metadata;
  if (terminated?.reason === "OOMKilled") {
    return {
      reason: "OutOfMemory",
      message: `pod ${name} was killed by the kernel for using more memory than its limit (OOMKilled): raise spec.pod.resources.limits.memory`,
    };
  }
  if (reason === "Evicted")
    return {
      reason: "Evicted",
      message: `pod ${name} was evicted: ${plainText(message ?? "no reason given")}`,
    };
  const why = waiting?.reason ?? "";
  if (IMAGE.test(why)) {
    return {
      reason: "ImagePullFailed",
      message: `pod ${name} cannot get its image (${why}): ${plainText(waiting?.message ?? "")}. Correct spec.pod.image, or give spec.pod.imagePullSecrets; it is tried again`,
    };
  }
  if (CONTAINER.test(why)) {
    return {
      reason: "ContainerFailed",
      message: `the container of pod ${name} cannot be made (${why}): ${plainText(waiting?.message ?? "")}`,
    };
  }
  const scheduled = conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status !== "False") return undefined;
  return {
    reason: "Unschedulable",
    message: `no node takes pod ${name}: ${plainText(scheduled.message ?? "no reason given")}. See spec.pod.resources, nodeSelector and tolerations`,
  };
}
