import { GROUP, VERSION } from "../../schemas/kind.ts";
import type { ResourceType } from "../kube/resources.ts";

const ours = (kind: string, plural: string): ResourceType => ({
  group: GROUP,
  version: VERSION,
  kind,
  plural,
  namespaced: true,
});

export const REPOSITORY = ours("Repository", "repositories");
export const PROMPT_TEMPLATE = ours("PromptTemplate", "prompttemplates");
export const DATASET = ours("Dataset", "datasets");
export const FINE_TUNE_JOB = ours("FineTuneJob", "finetunejobs");
export const MODEL_DEPLOYMENT = ours("ModelDeployment", "modeldeployments");
export const EVAL_SUITE = ours("EvalSuite", "evalsuites");
export const EVAL_RUN = ours("EvalRun", "evalruns");
export const MONITOR = ours("Monitor", "monitors");

/** The revision as every status carries it. */
export function revisionFields(revision: string | undefined): { revision?: string; shortRevision?: string } {
  return revision === undefined ? {} : { revision, shortRevision: revision.slice(0, 12) };
}
