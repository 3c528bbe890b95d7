import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { LABEL_OWNER_UID } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { isOwnedBy } from "../../kube/apply.ts";
import { Deployment, type KubeObject, Pod, type ResourceType, Service } from "../../kube/resources.ts";
import type { View } from "../../runtime/kind.ts";
import { tenantOf } from "../tenant.ts";
import { EVAL_RUN, EVAL_SUITE, FINE_TUNE_JOB, MODEL_DEPLOYMENT, PROMPT_TEMPLATE } from "../types.ts";
import type { ObservedInCluster } from "./present.ts";
import type { TrainedJob } from "./sources.ts";

/** Everything that a deployment in the cluster depends on or has made, from the caches. */
export function observeInCluster(
  object: KubeObject,
  view: View,
  workUrl: string | undefined,
): ObservedInCluster {
  const deployment = object as unknown as ModelDeployment;
  const { namespace = "", name, uid = "" } = object.metadata;
  const ref = { kind: "ModelDeployment", namespace, name };
  const get = <T>(type: ResourceType, names: readonly string[]) =>
    new Map(
      names.flatMap((each) => {
        const found = view.get(type, namespace, each);
        return found ? [[each, found as unknown as T] as const] : [];
      }),
    );
  const suites = get<EvalSuite>(EVAL_SUITE, gateNames(deployment));
  const targets = [...suites.values()].flatMap(({ spec }) => spec.targets);
  const judges = [...suites.values()].flatMap(({ spec }) => spec.judge?.modelRef.name ?? []);
  return {
    deployment,
    serviceAccountName: tenantOf(object, view),
    workUrl,
    jobs: get<TrainedJob>(FINE_TUNE_JOB, jobNames(deployment)),
    suites,
    prompts: get<PromptTemplate>(
      PROMPT_TEMPLATE,
      targets.map(({ promptRef }) => promptRef.name),
    ),
    models: get<ModelDeployment>(MODEL_DEPLOYMENT, [
      ...targets.map(({ modelRef }) => modelRef.name),
      ...judges,
    ]),
    deployments: view.children(Deployment, uid),
    services: view.children(Service, uid),
    runs: view
      .list<KubeObject & EvalRun>(EVAL_RUN, namespace)
      .filter((run) => isOwnedBy(run, uid)) as EvalRun[],
    pods: view
      .list<KubeObject>(Pod, namespace)
      .filter(({ metadata }) => metadata.labels?.[LABEL_OWNER_UID] === uid),
    effect: ({ name: effect, inputDigest }) => view.effect(ref, effect, inputDigest),
  };
}

export function dependenciesOf({ spec }: ModelDeployment): { type: ResourceType; name: string }[] {
  return [
    ...gateNames({ spec }).map((name) => ({ type: EVAL_SUITE, name })),
    ...jobNames({ spec }).map((name) => ({ type: FINE_TUNE_JOB, name })),
  ];
}

function jobNames({ spec: { inCluster } }: Pick<ModelDeployment, "spec">): string[] {
  const refs = [
    inCluster?.model?.fineTuneJobRef,
    ...(inCluster?.adapters ?? []).map((each) => each.fineTuneJobRef),
  ];
  return [...new Set(refs.flatMap((ref) => ref?.name ?? []))];
}

const gateNames = ({ spec }: Pick<ModelDeployment, "spec">) =>
  (spec.inCluster?.rollout?.gates ?? []).map(({ suiteRef }) => suiteRef.name);
