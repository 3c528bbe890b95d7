import * as z from "zod";
import type { Condition } from "../../../schemas/common.ts";
import type { Dataset, DatasetStatus } from "../../../schemas/dataset.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { controllerRef } from "../../kube/apply.ts";
import { Job, type KubeObject } from "../../kube/resources.ts";
import { reconciling } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import type { WorkReport } from "../../store/store.ts";
import type { AdmitInput, VerifyInput } from "../fine-tune-job/effect-inputs.ts";
import { latestPod } from "../fine-tune-job/pods.ts";
import type { PrepareInput, PrepareOutput } from "./decide.ts";
import { jobName, preparationJob } from "./job.ts";
import { troubleOf } from "./job-trouble.ts";
import type { StageOutput } from "./staging.ts";

/** What the caches know of preparations in pods; undefined where pods cannot reach this controller. */
export interface ObservedWork {
  /** Of this controller, as pods reach it. */
  readonly url: string;
  /** Sources with more bytes are prepared in a pod. */
  readonly above: number;
  readonly report: (input: string) => WorkReport | undefined;
  readonly effect: (name: string, inputDigest: string) => EffectOutcome | undefined;
  readonly child: (name: string) => {
    readonly job: KubeObject | undefined;
    readonly pods: readonly KubeObject[];
  };
}

type Work = NonNullable<DatasetStatus["work"]>;

export type JobDecision = Pick<Decision<DatasetStatus>, "children" | "keep" | "effects"> & {
  readonly work: Work;
} & (
    | {
        readonly conditions: readonly Condition[];
        readonly progress?: DatasetStatus["progress"];
        readonly requeueAfterMs?: number;
      }
    | { readonly failure: { readonly reason: string; readonly message: string }; readonly first: boolean }
    | { readonly output: PrepareOutput }
  );

/** Bytes of what is read from outside and from other Datasets; files of the Repository are few by its limits. */
export function bytesOf({ fetched = [] }: PrepareInput, datasets: ReadonlyMap<string, Dataset>): number {
  const outside = fetched.flatMap(({ files }) => files).reduce((sum, { bytes }) => sum + bytes, 0);
  return [...datasets.values()].reduce((sum, { status }) => sum + (status?.artifact?.bytes ?? 0), outside);
}

/**
 * One preparation as a Job: its input is laid out, its token made, its pods watched, and what they say they stored is
 * looked at. The same input is the same Job; one that failed for good is tried anew only when a person asks.
 * @param asked whether somebody has asked since the last decision
 */
export function decideJob(
  dataset: Dataset,
  input: PrepareInput,
  inputDigest: string,
  observed: ObservedWork,
  asked: boolean,
  now: Date,
): JobDecision {
  const work = attemptOf(dataset.status?.work, inputDigest, asked);
  const key = digestOf({ input: inputDigest, attempt: work.attempt });
  const name = jobName(dataset, key);
  const keep = [{ type: Job, name }];
  const none = { children: [], keep, work, effects: [] };
  if (work.failure) return { ...none, failure: work.failure, first: false };
  const report = observed.report(key);
  if (report?.state === "Succeeded") return succeeded(dataset, report, observed, none);

  const stage: EffectRequest = request("stage", input as unknown as Json);
  const staged = observed.effect(stage.name, stage.inputDigest);
  if (staged?.state === "Failed") return failed(none, staged, stage, now);
  if (staged?.state !== "Succeeded") {
    const conditions = reconciling("Staging", "what the pod needs is laid out");
    return { ...none, effects: [stage], conditions };
  }
  const { manifest } = staged.output as unknown as StageOutput;
  const admit = request("admit", admitInput(dataset, key, name, manifest) as unknown as Json);
  const admitted = observed.effect(admit.name, admit.inputDigest);
  const laidOut = { ...stage, attempt: staged.attempt };
  if (admitted?.state === "Failed") return failed({ ...none, effects: [laidOut] }, admitted, admit, now);
  const effects = [laidOut, { ...admit, attempt: admitted?.attempt ?? 1 }];
  if (admitted?.state !== "Succeeded")
    return { ...none, effects, conditions: reconciling("Starting", "the pod's token is made") };

  const seen = observed.child(name);
  const { trouble, final } = troubleOf(seen, report);
  if (trouble && final)
    return { ...none, effects, work: { ...work, failure: cut(trouble) }, failure: trouble, first: true };
  // A Job's template cannot be changed: what is there is left as it is.
  const children = seen.job ? [] : [preparationJob(dataset, name, manifest, observed.url)];
  const progress = progressOf(report);
  const pod = latestPod(seen.pods);
  const conditions = trouble
    ? reconciling(trouble.reason, trouble.message)
    : progress && pod
      ? reconciling("Preparing", `${progress.phase}, ${progress.percent} %, in pod ${pod.metadata.name}`)
      : reconciling("Starting", pod ? `pod ${pod.metadata.name} starts` : `Job ${name} has no pod yet`);
  return { ...none, children, effects, conditions, ...(progress ? { progress } : {}) };
}

const cut = ({ reason, message }: { reason: string; message: string }) => ({
  reason,
  message: message.slice(0, 4096),
});

function attemptOf(former: Work | undefined, input: string, asked: boolean): Work {
  if (former?.input !== input) return { input, attempt: 1 };
  if (!former.failure || !asked) return former;
  return { input, attempt: former.attempt + 1 };
}

/** A failure that may pass is tried again after this. */
const RETRY_MS = 60_000;

/** Before there is a Job: a failure that may pass is tried again, another one waits for a person. */
function failed(
  none: Pick<JobDecision, "children" | "keep" | "work" | "effects">,
  { error, attempt, finishedAt = 0 }: EffectOutcome,
  asked: EffectRequest,
  now: Date,
): JobDecision {
  const failure = {
    reason: error?.code ?? "PrepareFailed",
    message: error?.message ?? "it ended without saying why",
  };
  const waitMs = finishedAt + RETRY_MS - now.getTime();
  const again = error?.retryable === true && waitMs <= 0;
  const effects = [...none.effects, { ...asked, attempt: attempt + (again ? 1 : 0) }];
  if (error?.retryable) {
    const conditions = reconciling(failure.reason, failure.message);
    return { ...none, effects, conditions, ...(again ? {} : { requeueAfterMs: waitMs }) };
  }
  return { ...none, effects, work: { ...none.work, failure: cut(failure) }, failure, first: true };
}

function request(name: string, input: Json): EffectRequest {
  const value = JSON.parse(JSON.stringify(input)) as Json;
  return { name, inputDigest: digestOf(value), input: value, attempt: 1, durable: false };
}

function admitInput(dataset: Dataset, key: string, name: string, manifest: string): AdmitInput {
  const { namespace = "", name: own, uid = "" } = dataset.metadata;
  return {
    namespace,
    account: "",
    secrets: [],
    artifacts: [],
    claims: {
      object: { kind: "Dataset", namespace, name: own },
      uid,
      input: key,
      read: [manifest],
      write: true,
    },
    name,
    owner: controllerRef(dataset as never),
  };
}

const count = z.int().min(0);
const partName = z.string().min(1).max(63);
/** What a pod says it made: rows of the tenant ran through it, so only its shape is believed, and that is bounded. */
const result = z.object({
  read: count,
  steps: z.array(z.object({ name: partName, dropped: count, changed: count })).max(40),
  splits: z.array(z.object({ name: partName, rows: count })).max(8),
  piiRows: count,
  words: count,
  artifact: z
    .object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), rows: count, bytes: count })
    .optional(),
  fault: z.object({ gate: z.string().max(63), message: z.string().max(1024) }).optional(),
});

const progress = z.object({
  phase: z.string().regex(/^[A-Z][a-z]{1,31}$/),
  percent: z.int().min(0).max(100),
});
export const progressOf = (report: Pick<WorkReport, "progress"> | undefined): DatasetStatus["progress"] =>
  progress.safeParse(report?.progress).data;

/** Done: what the pod says it stored is looked at before anybody relies on it. */
function succeeded(
  dataset: Dataset,
  report: WorkReport,
  observed: ObservedWork,
  none: Pick<JobDecision, "children" | "work">,
): JobDecision {
  const { data } = result.safeParse(report.result);
  const bad = (reason: string, message: string): JobDecision => {
    const failure = { reason, message };
    return { ...none, keep: [], effects: [], work: { ...none.work, failure }, failure, first: true };
  };
  if (!data || (!data.artifact && !data.fault))
    return bad("BadReport", "the pod reported success with a result that cannot be read");
  const output = JSON.parse(JSON.stringify(data)) as PrepareOutput;
  // Nothing is kept: the Job has done its work.
  if (!output.artifact) return { ...none, keep: [], effects: [], output };
  const { digest } = output.artifact;
  const known = dataset.status?.artifact?.digest === digest;
  const verify = request("verify", { digest, type: "dataset", known } satisfies VerifyInput);
  const verified = observed.effect(verify.name, verify.inputDigest);
  const effects = [{ ...verify, attempt: verified?.attempt ?? 1 }];
  if (verified?.state === "Failed") {
    const { code, message } = verified.error ?? { code: "ArtifactMissing", message: "it could not be read" };
    return { ...bad(code, message), effects };
  }
  if (verified?.state !== "Succeeded" && !known)
    return {
      ...none,
      keep: [],
      effects,
      conditions: reconciling("Verifying", `the artifact ${digest} is looked at`),
    };
  return { ...none, keep: [], effects, output };
}
