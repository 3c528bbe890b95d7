import type { FineTuneJob, FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import { LABEL_REPOSITORY } from "../../../schemas/kind.ts";
import type { Repository } from "../../../schemas/repository.ts";
import type { KubeObject, ResourceType } from "../../kube/resources.ts";
import { ConfigMap, Job, PersistentVolumeClaim, Pod } from "../../kube/resources.ts";
import type { Kind, View } from "../../runtime/kind.ts";
import { sharedDependency } from "../shared-with.ts";
import { tenantOf } from "../tenant.ts";
import { DATASET, EVAL_SUITE, FINE_TUNE_JOB, PROMPT_TEMPLATE, REPOSITORY } from "../types.ts";
import { decide } from "./decide.ts";
import { admit, type EffectDependencies, verify } from "./effects.ts";
import { hostedEffects } from "./hosted/effects.ts";
import { releaseRequest } from "./hosted/inputs.ts";
import type { ObservedJob } from "./observed.ts";
import { layOut } from "./selection/lay-out.ts";

export interface FineTuneDependencies extends EffectDependencies {
  /** The controller as pods reach it, without a slash at the end. */
  readonly workUrl: string | undefined;
}

function observe(object: KubeObject, view: View, url: string | undefined): ObservedJob {
  const job = object as unknown as FineTuneJob;
  const { datasetRef, selection } = job.spec;
  const { namespace = "", name } = object.metadata;
  const named = <T>(type: ResourceType, of: string | undefined) =>
    of === undefined ? undefined : (view.get<KubeObject>(type, namespace, of) as unknown as T | undefined);
  const ref = { kind: "FineTuneJob", namespace, name };
  return {
    job,
    dataset: view.get<KubeObject>(DATASET, datasetRef.namespace ?? namespace, datasetRef.name) as never,
    suite: named(EVAL_SUITE, selection?.suiteRef.name),
    prompt: named(PROMPT_TEMPLATE, selection?.promptRef.name),
    url,
    account: tenantOf(object, view),
    commit: commitOf(object, view),
    report: (input) => view.report(ref, input),
    effect: ({ name: effect, inputDigest }) => view.effect(ref, effect, inputDigest),
    work: (child) => {
      const found = view.get<KubeObject>(Job, namespace, child);
      return { job: found, pods: found?.metadata.uid ? view.children(Pod, found.metadata.uid) : [] };
    },
  };
}

/** The commit that the object's Repository applies, or applied last. */
function commitOf(object: KubeObject, view: View): string | undefined {
  const name = object.metadata.labels?.[LABEL_REPOSITORY];
  if (name === undefined) return undefined;
  const repository = view.get<KubeObject & Repository>(REPOSITORY, object.metadata.namespace ?? "", name);
  return repository?.status?.lastAttemptedRevision ?? repository?.status?.lastAppliedRevision;
}

/** A training is a Job: it is started once for what it is made from, watched, and its artifact recorded. */
export function fineTuneJob(dependencies: FineTuneDependencies): Kind<ObservedJob, FineTuneJobStatus> {
  return {
    type: FINE_TUNE_JOB,
    childTypes: [ConfigMap, PersistentVolumeClaim, Job],
    watches: [Job, Pod],
    suspends: true,
    observe: (object, view) => observe(object, view, dependencies.workUrl),
    decide,
    dependencies: (object) => {
      const { datasetRef, selection } = (object as unknown as FineTuneJob).spec;
      return [
        sharedDependency(DATASET, datasetRef),
        ...(selection
          ? [
              { type: EVAL_SUITE, name: selection.suiteRef.name },
              { type: PROMPT_TEMPLATE, name: selection.promptRef.name },
            ]
          : []),
      ];
    },
    effects: {
      admit: admit(dependencies),
      verify: verify(dependencies),
      layOut: layOut(dependencies),
      ...hostedEffects(dependencies),
    },
    finalizer: {
      name: "slipway.dev/cancel-hosted-training",
      needed: (object) => (object as unknown as FineTuneJob).spec.backend === "openai",
      release: (object, view) =>
        releaseRequest({ job: object as unknown as FineTuneJob, account: tenantOf(object, view) }),
    },
  };
}
