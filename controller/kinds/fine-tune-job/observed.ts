import type { FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { ConfigMap, Job, PersistentVolumeClaim } from "../../kube/resources.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import type { WorkReport } from "../../store/store.ts";
import type { Recipe, Training } from "./training.ts";

export interface ObservedJob extends Recipe {
  /** The controller as pods reach it. */
  readonly url: string | undefined;
  /** As which the object's Secrets are read. */
  readonly account: string;
  readonly commit: string | undefined;
  readonly report: (input: string) => WorkReport | undefined;
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
  /** What is in the cluster under a name. */
  readonly work: (name: string) => {
    readonly job: KubeObject | undefined;
    readonly pods: readonly KubeObject[];
  };
}

export type FineTuneDecision = Decision<FineTuneJobStatus>;

export const none = (status: FineTuneJobStatus): FineTuneDecision => ({ children: [], effects: [], status });

/** Of a training, what stays in the cluster as it is. */
export function kept(name: string, withJob = true): FineTuneDecision["keep"] {
  const types = [ConfigMap, PersistentVolumeClaim, ...(withJob ? [Job] : [])];
  return types.map((type) => ({ type, name }));
}

export const sameTraining = (a: Training | undefined, b: Training) =>
  a?.identity === b.identity && a.attempt === b.attempt;
