import type { FineTuneJob, FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { controllerRef } from "../../kube/apply.ts";
import type { EffectRequest } from "../../runtime/kind.ts";
import type { TokenSecret } from "../work-token.ts";
import { inputOf, type Training } from "./training.ts";

/** A Secret that the pod will use, and where it will send it. */
export interface SecretUse {
  readonly name: string;
  /** Keys that it must have. */
  readonly keys: readonly string[];
  readonly url: string;
}

/** Before a training starts: may it use the Secrets that it names, and has it a token? */
export interface AdmitInput extends TokenSecret {
  readonly namespace: string;
  readonly account: string;
  readonly secrets: readonly SecretUse[];
  /** Artifacts that it starts from: the base model, a checkpoint. */
  readonly artifacts: readonly string[];
}

/** After a training: is what the pod says it stored there, and its own? */
export interface VerifyInput {
  readonly digest: string;
  readonly type: "adapter" | "model" | "dataset";
  /** It was looked at before, and is in the status since. */
  readonly known: boolean;
  readonly choice?: Choice;
}

export interface VerifyOutput {
  readonly files: number;
  /** Of an adapter. */
  readonly rank?: number | undefined;
  /** Of {@link Choice}. */
  readonly checkpoints?: readonly Checkpoint[];
}

/** Checkpoints that a pod let answer a suite, from which it says it has published the best. */
export interface Choice {
  /** The suite as it was laid out. */
  readonly suite: string;
  readonly candidates: readonly Candidate[];
}

export interface Candidate {
  readonly step: number;
  readonly digest: string;
  /** What the pod stored of its answers. */
  readonly answers: string;
  readonly loss?: number | undefined;
}

/** A candidate with what we found its answers worth. */
export type Checkpoint = NonNullable<FineTuneJobStatus["checkpoints"]>[number];

export function admitRequest(
  { job, account }: { readonly job: FineTuneJob; readonly account: string },
  training: Training,
  name: string,
): EffectRequest {
  const { namespace = "", name: own, uid = "" } = job.metadata;
  const { baseModel, mlflow } = job.spec;
  const { selection } = training;
  const base = /^artifact:(.*)$/.exec(baseModel.source)?.[1];
  const artifacts = [base, training.resumeFrom].filter((digest) => digest !== undefined);
  const input: AdmitInput = {
    namespace,
    account,
    secrets: [
      ...(baseModel.secretRef
        ? [{ name: baseModel.secretRef.name, keys: [baseModel.secretRef.key], url: baseModel.endpoint }]
        : []),
      ...(mlflow?.secretRef ? [{ name: mlflow.secretRef.name, keys: [], url: mlflow.trackingUri }] : []),
    ],
    artifacts,
    claims: {
      object: { kind: "FineTuneJob", namespace, name: own },
      uid,
      input: inputOf(training),
      read: [training.dataset, ...artifacts, ...(selection ? [selection.questions] : [])],
      ...(selection ? { grade: selection.suite } : {}),
      write: true,
    },
    name,
    owner: controllerRef(job as never),
  };
  return request("admit", input);
}

export function verifyRequest({ digest, type, known, choice }: VerifyInput): EffectRequest {
  return request("verify", { digest, type, known, ...(choice ? { choice } : {}) } satisfies VerifyInput);
}

function request(name: string, input: object): EffectRequest {
  const json = JSON.parse(JSON.stringify(input)) as Json;
  return { name, inputDigest: digestOf(json), input: json, attempt: 1, durable: false };
}
