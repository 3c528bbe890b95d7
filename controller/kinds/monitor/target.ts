import type { ModelDeployment } from "../../../schemas/model-deployment.ts";

/** Where and how the target answers. */
export type TargetEndpoint = NonNullable<ModelDeployment["spec"]["external"]>;

/** The endpoint of a deployment; undefined while it has none. */
export function endpointOfTarget(target: ModelDeployment | undefined): TargetEndpoint | undefined {
  return target?.spec.external;
}
