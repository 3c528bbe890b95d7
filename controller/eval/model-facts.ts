import type { Pricing } from "../../schemas/model-deployment.ts";
import { SlipwayError } from "../errors.ts";
import type { BundledModel } from "./bundle.ts";

/** What evaluations need to know of a deployment, wherever it is served. */
export interface ModelFacts {
  /** Where it is asked; undefined for one in a cluster whose address is not known here. */
  readonly baseURL: string | undefined;
  readonly model: string;
  /** A duration. */
  readonly timeout: string;
  readonly maxConcurrency: number;
  readonly pricing: Pricing | undefined;
  readonly secretRef: { readonly name: string; readonly key: string } | undefined;
}

export function factsOf({ name, spec, endpoint }: Omit<BundledModel, "revision">): ModelFacts | undefined {
  const { external, inCluster } = spec;
  if (spec.type === "External" && external) {
    const { baseURL, model, timeout, maxConcurrency, pricing, secretRef } = external;
    return { baseURL, model, timeout, maxConcurrency, pricing, secretRef };
  }
  if (spec.type === "InCluster" && inCluster) {
    const { timeout, maxConcurrency, pricing, modelName = name } = inCluster;
    const model = endpoint?.model ?? modelName;
    return { baseURL: endpoint?.baseURL, model, timeout, maxConcurrency, pricing, secretRef: undefined };
  }
  return undefined;
}

/** @throws SlipwayError InvalidSpec, NotServedHere */
export function endpointFacts(model: BundledModel): ModelFacts & { readonly baseURL: string } {
  const facts = factsOf(model);
  if (!facts) throw new SlipwayError("InvalidSpec", `ModelDeployment ${model.name} has no endpoint`);
  if (facts.baseURL === undefined) throw notServedHere(model.name);
  return { ...facts, baseURL: facts.baseURL };
}

export function notServedHere(name: string): SlipwayError {
  return new SlipwayError(
    "NotServedHere",
    `ModelDeployment ${name} is served in a cluster, and cannot be asked from here`,
    {
      hint: "evaluations of it run in the cluster: name it in an EvalSuite there, or in rollout.gates",
    },
  );
}
