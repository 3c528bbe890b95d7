import { datasetKind } from "./dataset.ts";
import { evalRunKind } from "./eval-run.ts";
import { evalSuiteKind } from "./eval-suite.ts";
import { fineTuneJobKind } from "./fine-tune-job.ts";
import type { KindDefinition } from "./kind.ts";
import { modelDeploymentKind } from "./model-deployment.ts";
import { monitorKind } from "./monitor.ts";
import { promptTemplateKind } from "./prompt-template.ts";
import { repositoryKind } from "./repository.ts";

export * from "./kind.ts";

/** Every custom resource, in the order in which a reader meets them. */
export const KINDS: readonly KindDefinition[] = [
  repositoryKind,
  datasetKind,
  promptTemplateKind,
  fineTuneJobKind,
  modelDeploymentKind,
  evalSuiteKind,
  monitorKind,
  evalRunKind,
];

/** The definition of a kind by its name. */
export function kindNamed(kind: string): KindDefinition | undefined {
  return KINDS.find((definition) => definition.kind === kind);
}
