import type { EvalRun } from "../../../schemas/eval-run.ts";
import { LABEL_REPOSITORY, LABEL_REVISION } from "../../../schemas/kind.ts";
import { DEFAULT_REPLICAS } from "../../../schemas/model-deployment-in-cluster.ts";
import { type KubeObject, PersistentVolumeClaim } from "../../kube/resources.ts";
import type { Decision } from "../../runtime/kind.ts";
import { cacheClaim, keptService, mainService, revisionDeployment, revisionService } from "./manifests.ts";
import { cacheName, type Revision, revisionLabel } from "./names.ts";
import type { ObservedInCluster, Present } from "./present.ts";
import type { RolloutPlan } from "./rollout.ts";
import { keptDeployment } from "./served.ts";

/** What the plan asks for, with everything that still drains. */
export function childrenOf(
  { deployment }: ObservedInCluster,
  present: Present,
  of: Revision,
  plan: RolloutPlan,
  switchedAt: string,
): KubeObject[] {
  const { spec, revision } = of;
  const label = revisionLabel(revision);
  const claim = cacheClaim(deployment, spec);
  const children = claim ? [claim] : [];
  for (const [each, replicas] of plan.replicas) {
    if (each === label) {
      children.push(revisionDeployment(of, replicas), revisionService(deployment, revision));
      continue;
    }
    const live = present.live.get(each);
    if (!live) continue;
    children.push(keptDeployment(live, replicas));
    if (live.served) children.push(revisionService(deployment, live.served.revision));
  }
  if (plan.serve === label) children.push(mainService(deployment, revision, switchedAt));
  // Its address stays, also where nothing is behind it any more.
  else if (present.main) children.push(keptService(present.main));
  return children;
}

/** The claim of a cache that the spec has no more stays while pods are made with it: what serves may need another one. */
export function keptClaim(
  { deployment }: ObservedInCluster,
  { live }: Present,
): Pick<Decision<unknown>, "keep"> {
  const name = cacheName(deployment);
  const used = [...live.values()].some(({ deployment: { spec } }) =>
    (spec as PodTemplated).template.spec.volumes?.some(
      ({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === name,
    ),
  );
  return used ? { keep: [{ type: PersistentVolumeClaim, name }] } : {};
}

interface PodTemplated {
  readonly template: {
    readonly spec: {
      readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName: string } }[];
    };
  };
}

/** Runs of what serves, as a record of why it may. */
export function keptRuns({ runs }: ObservedInCluster, label: string): KubeObject[] {
  return runs.filter(({ metadata }) => metadata.labels?.[LABEL_REVISION] === label).map(keptRun);
}

function keptRun({ apiVersion, kind, metadata: { name, labels = {} }, spec }: EvalRun): KubeObject {
  return { apiVersion, kind, metadata: { name, labels: ownLabels(labels) }, spec };
}

function ownLabels(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => key === LABEL_REVISION || key === LABEL_REPOSITORY),
  );
}

/** Everything as it is, but for the number of pods that serve: those that Recreate has stopped leave their room to the new. */
export function heldChildren({ deployment, runs }: ObservedInCluster, present: Present): KubeObject[] {
  const spec = deployment.spec.inCluster;
  const claim = spec && cacheClaim(deployment, spec);
  const desired = spec?.replicas ?? DEFAULT_REPLICAS;
  const replaced =
    spec?.rollout?.strategy === "Recreate" &&
    [...present.live.values()].some(({ label, replicas }) => label !== present.active && replicas > 0);
  return [
    ...(claim ? [claim] : []),
    ...[...present.live.values()].flatMap((live) => [
      keptDeployment(live, live.label === present.active && !replaced ? desired : live.replicas),
      ...(live.served ? [revisionService(deployment, live.served.revision)] : []),
    ]),
    ...(present.main ? [keptService(present.main)] : []),
    ...runs.map(keptRun),
  ];
}
