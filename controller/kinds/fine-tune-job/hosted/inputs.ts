import type { FineTuneJob } from "../../../../schemas/fine-tune-job.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import type { EffectRequest } from "../../../runtime/kind.ts";
import { inputOf, type Training } from "../training.ts";
import type { Marks, NewJob } from "./provider.ts";

/** Where the key is, and where it may go. */
export interface Access {
  readonly namespace: string;
  readonly account: string;
  readonly secretRef: { readonly name: string; readonly key: string };
  readonly baseURL: string;
}

export interface SubmitInput {
  readonly access: Access;
  readonly marks: Marks;
  readonly job: Omit<NewJob, "trainingFile" | "validationFile">;
  readonly dataset: string;
  readonly split: string;
  readonly validationSplit?: string;
}

export interface JobInput {
  readonly access: Access;
  readonly id: string;
}

export interface CancelInput {
  readonly access: Access;
  readonly marks: Partial<Marks>;
}

interface Of {
  readonly job: FineTuneJob;
  readonly account: string;
}

function accessOf({ job, account }: Of): Access {
  const { secretRef, baseURL } = job.spec.openai!;
  return { namespace: job.metadata.namespace ?? "", account, secretRef, baseURL };
}

/** @param durable a crash must neither lose nor double it */
function request(name: string, input: object, durable: boolean, id: object = input): EffectRequest {
  const json = JSON.parse(JSON.stringify(input)) as Json;
  return {
    name,
    inputDigest: digestOf(JSON.parse(JSON.stringify(id)) as Json),
    input: json,
    attempt: 1,
    durable,
  };
}

export function submitRequest(of: Of, training: Training): EffectRequest {
  const { spec, metadata } = of.job;
  const { epochs, batchSize, beta, seed } = spec.hyperparameters;
  const { suffix, learningRateMultiplier } = spec.openai!;
  const given = {
    n_epochs: epochs,
    batch_size: batchSize,
    learning_rate_multiplier: learningRateMultiplier,
    ...(spec.method === "dpo" ? { beta } : {}),
  };
  const marks: Marks = { slipway_work: inputOf(training), slipway_object: metadata.uid ?? "" };
  const input: SubmitInput = {
    access: accessOf(of),
    marks,
    job: {
      model: spec.baseModel.source,
      method: spec.method,
      hyperparameters: Object.fromEntries(
        Object.entries(given).filter(([, value]) => value !== undefined),
      ) as Record<string, number>,
      ...(suffix === undefined ? {} : { suffix }),
      ...(seed === undefined ? {} : { seed }),
    },
    dataset: training.dataset,
    split: spec.split,
    ...(spec.validationSplit === undefined ? {} : { validationSplit: spec.validationSplit }),
  };
  // By its work alone: another key, or another tenant, does not make it another training.
  return request("submit", input, true, marks);
}

export function pollRequest(of: Of, id: string): EffectRequest {
  return request("poll", { access: accessOf(of), id } satisfies JobInput, false);
}

export function holdRequest(of: Of, id: string, action: "pause" | "resume"): EffectRequest {
  // Each time anew: what was paused once may have been resumed since.
  const { generation = 0 } = of.job.metadata;
  const input = { access: accessOf(of), id, generation };
  return request(action, input satisfies JobInput & { generation: number }, false);
}

/** Everything of one training. @param input see inputOf */
export function cancelRequest(of: Of, input: string): EffectRequest {
  const marks = { slipway_work: input };
  return request("cancel", { access: accessOf(of), marks } satisfies CancelInput, true, marks);
}

/** Everything of the object, which is being deleted. */
export function releaseRequest(of: Of): EffectRequest {
  const marks = { slipway_object: of.job.metadata.uid ?? "" };
  return request("cancel", { access: accessOf(of), marks } satisfies CancelInput, true, marks);
}
