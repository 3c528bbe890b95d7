import type { Budget, EvalCase, EvalSuiteSpec, Gate } from "../../schemas/eval-suite.ts";
import type { ModelDeploymentSpec } from "../../schemas/model-deployment.ts";
import type { PromptTemplateSpec } from "../../schemas/prompt-template.ts";

/** A deployment as a run needs it. */
export interface BundledModel {
  readonly name: string;
  readonly revision: string;
  readonly spec: ModelDeploymentSpec;
  /** Where this very revision answers, for one that is served in the cluster. */
  readonly endpoint?: { readonly baseURL: string; readonly model: string };
}

/** A target with everything it refers to. */
export interface BundledTarget {
  readonly name: string;
  readonly prompt: { readonly name: string; readonly revision: string; readonly spec: PromptTemplateSpec };
  readonly model: BundledModel;
}

/** One side of a comparison, complete: stored as a blob and named by its digest in the EvalRun. */
export interface SideBundle {
  readonly targets: readonly BundledTarget[];
}

/** The policy of a run: cases, graders, gates and budget, as the base branch has them. */
export interface SuiteBundle {
  readonly name: string;
  readonly revision: string;
  readonly cases: readonly EvalCase[];
  readonly assert: EvalSuiteSpec["assert"];
  readonly gates: readonly Gate[];
  readonly repeats: number;
  readonly budget: Budget;
  readonly judge?: BundledModel;
}
