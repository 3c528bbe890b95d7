import { durationMs } from "../../schemas/common.ts";
import { SlipwayError } from "../errors.ts";
import type { ModelFacts } from "../eval/model-facts.ts";
import type { SecretReader } from "../kube/secrets.ts";

export interface Tenant {
  readonly namespace: string;
  readonly serviceAccountName: string;
}

/**
 * The endpoint with its key, and the hosts to which the key may go. The key is read as the tenant, so that nobody
 * uses a Secret through us that they could not read themselves.
 */
export async function endpointOf(
  external: Pick<ModelFacts, "model" | "timeout"> & {
    readonly baseURL: string;
    readonly secretRef?: ModelFacts["secretRef"];
  },
  tenant: Tenant,
  secrets: SecretReader,
): Promise<{
  endpoint: { baseURL: string; model: string; apiKey?: string; timeoutMs: number };
  allowedHosts?: readonly string[];
}> {
  const endpoint = {
    baseURL: external.baseURL,
    model: external.model,
    timeoutMs: durationMs(external.timeout),
  };
  if (!external.secretRef) return { endpoint };
  const { name, key } = external.secretRef;
  const secret = await secrets.read(tenant.namespace, name, tenant.serviceAccountName);
  const apiKey = secret.data[key];
  if (apiKey === undefined) {
    throw new SlipwayError("SecretIncomplete", `Secret ${tenant.namespace}/${name} has no key ${key}`, {
      hint: "add the key, or set secretRef.key",
    });
  }
  return { endpoint: { ...endpoint, apiKey: apiKey.trim() }, allowedHosts: secret.allowedHosts };
}
