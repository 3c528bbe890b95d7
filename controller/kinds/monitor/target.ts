import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { factsOf, type ModelFacts } from "../../eval/model-facts.ts";

/** Where and how the target answers. */
export interface TargetEndpoint extends Pick<ModelFacts, "model" | "timeout"> {
  readonly baseURL: string;
  readonly secretRef?: NonNullable<ModelFacts["secretRef"]>;
}

/** The endpoint of a deployment; undefined while it has none. One that stops answering keeps it. */
export function endpointOfTarget(target: ModelDeployment | undefined): TargetEndpoint | undefined {
  if (!target) return undefined;
  const { url, address = url, model = "" } = target.status?.endpoint ?? {};
  const facts = factsOf({
    name: target.metadata.name,
    spec: target.spec,
    ...(address === undefined ? {} : { endpoint: { baseURL: address, model } }),
  });
  if (facts?.baseURL === undefined) return undefined;
  const { baseURL, timeout, secretRef } = facts;
  return { baseURL, model: facts.model, timeout, ...(secretRef ? { secretRef } : {}) };
}
