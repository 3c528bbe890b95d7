import type { BundledModel } from "../../eval/bundle.ts";
import { callModel } from "../../eval/model/call.ts";
import type { ModelAnswer, ModelRequest } from "../../eval/model/types.ts";
import { endpointFacts } from "../../eval/model-facts.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import { endpointOf, type Tenant } from "../endpoint.ts";

/** Asks deployments as a tenant: with its key, at the hosts where that key may go. */
export function askAs(tenant: Tenant, secrets: SecretReader) {
  return async (model: BundledModel, request: ModelRequest, signal: AbortSignal): Promise<ModelAnswer> => {
    const { endpoint, allowedHosts } = await endpointOf(endpointFacts(model), tenant, secrets);
    return callModel({ endpoint, request, signal, ...(allowedHosts ? { allowedHosts } : {}) });
  };
}
