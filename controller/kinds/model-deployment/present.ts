import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { activeOf, type LiveRevision, liveRevisions } from "./served.ts";
import type { TrainedJob } from "./sources.ts";

export interface ObservedInCluster {
  readonly deployment: ModelDeployment;
  readonly serviceAccountName: string;
  /** The controller as pods reach it. */
  readonly workUrl: string | undefined;
  readonly jobs: ReadonlyMap<string, TrainedJob>;
  readonly suites: ReadonlyMap<string, EvalSuite>;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  /** What it owns. */
  readonly deployments: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly runs: readonly EvalRun[];
  readonly pods: readonly KubeObject[];
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
}

export type InClusterDecision = Decision<ModelDeploymentStatus>;

/** What is there, before anything is decided. */
export interface Present {
  readonly live: ReadonlyMap<string, LiveRevision>;
  readonly services: ReadonlyMap<string, KubeObject>;
  readonly main: KubeObject | undefined;
  /** The label of the revision that the Service selects; undefined where that is gone and not wanted either. */
  readonly active: string | undefined;
  readonly switchedAt: string | undefined;
}

export function presentOf(
  { deployment, deployments, services, pods }: ObservedInCluster,
  wanted?: string,
): Present {
  const live = liveRevisions(deployments, pods);
  const byName = new Map(services.map((each) => [each.metadata.name, each]));
  const main = byName.get(deployment.metadata.name);
  const { label, switchedAt } = activeOf(main);
  return {
    live,
    services: byName,
    main,
    active: label !== undefined && (live.has(label) || label === wanted) ? label : undefined,
    switchedAt,
  };
}
