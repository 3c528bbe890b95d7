import type { ModelDeploymentSpec } from "../../schemas/model-deployment.ts";
import type { BundledModel, SideBundle, SuiteBundle } from "../eval/bundle.ts";
import type { RevisionGraph } from "../graph/graph.ts";

/**
 * The head's deployment with the price and the patience of the base, where the base has one that behaves the same:
 * what caps the cost is policy, and a pull request may not make its own answers cheap.
 */
export function withBasePrice(model: BundledModel, base: RevisionGraph): BundledModel {
  const former = sameDeployment(model, base);
  if (!former || !model.spec.external) return model;
  const { pricing: _, ...external } = model.spec.external;
  const { pricing, timeout } = former.external ?? model.spec.external;
  return {
    ...model,
    spec: { ...model.spec, external: { ...external, ...(pricing ? { pricing } : {}), timeout } },
  };
}

function sameDeployment(model: BundledModel, base: RevisionGraph): ModelDeploymentSpec | undefined {
  const alike = [...base.nodes.values()].filter(
    ({ kind, revision }) => kind === "ModelDeployment" && revision === model.revision,
  );
  const node = alike.find(({ name }) => name === model.name) ?? alike[0];
  return node?.object.spec as ModelDeploymentSpec | undefined;
}

/** Deployments that the base lacks, where a cap or a gate counts with the price that the pull request gives them. */
export function headPrices(bundle: SuiteBundle, head: SideBundle, base: RevisionGraph): string[] {
  if (!countsCost(bundle)) return [];
  const models = head.targets.map(({ model }) => model).filter((model) => !sameDeployment(model, base));
  return [...new Set(models.map(({ name }) => name))];
}

const countsCost = ({ budget, gates, assert, cases }: SuiteBundle): boolean =>
  budget.maxCost !== undefined ||
  gates.some(({ metric }) => metric === "cost") ||
  gradesCost(assert) ||
  cases.some((row) => gradesCost(row.assert));

/** True for graders of the cost, also inside an assert-set. */
function gradesCost(graders: unknown): boolean {
  if (!Array.isArray(graders)) return false;
  return graders.some(
    (grader: { readonly type?: unknown; readonly assert?: unknown }) =>
      grader.type === "cost" || grader.type === "not-cost" || gradesCost(grader.assert),
  );
}
