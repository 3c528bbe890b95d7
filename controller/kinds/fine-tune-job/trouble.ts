import type { KubeObject } from "../../kube/resources.ts";
import type { WorkReport } from "../../store/store.ts";
import { FINAL_CODES, jobState, podTrouble, type Trouble } from "./pods.ts";
import { plainText } from "./reports.ts";

/** What ended the training, and what only delays it. */
export function troubleOf(
  report: WorkReport | undefined,
  pod: KubeObject | undefined,
  job: KubeObject | undefined,
): { final?: { reason: string; message: string }; passing?: Trouble } {
  const where = pod ? `pod ${pod.metadata.name}: ` : "";
  const told =
    report?.state === "Failed" && report.error
      ? {
          reason: reasonOf(report.error.code),
          message: `${where}${plainText(report.error.message)}`,
          final: FINAL_CODES.has(report.error.code),
        }
      : undefined;
  const seen = pod && podTrouble(pod);
  const trouble = told?.final ? told : (seen ?? told);
  if (trouble?.final) return { final: trouble };
  const { failed: failure, failures } = jobState(job);
  if (!failure) return trouble ? { passing: trouble } : {};
  if (failure.reason === "DeadlineExceeded") {
    const message = `${where}not done within spec.runPolicy.timeout; raise it and annotate with slipway.dev/requestedAt: the training goes on from its last checkpoint`;
    return { final: { reason: "DeadlineExceeded", message } };
  }
  return {
    final: {
      reason: trouble?.reason ?? "TrainerFailed",
      message: trouble
        ? `${trouble.message} (after ${failures} failed pods)`
        : `${where}the Job has failed (${failure.reason}): ${failure.message}`,
    },
  };
}

/** A pod's report is not trusted to name a reason: it must look like one. */
function reasonOf(code: string): string {
  return /^[A-Z][A-Za-z]{1,63}$/.test(code) ? code : "TrainerFailed";
}
