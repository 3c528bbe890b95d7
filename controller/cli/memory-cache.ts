import type { Json } from "../graph/canonical.ts";
import type { ResultCache } from "../store/store.ts";

/** Answers kept until the process ends. */
export function memoryCache(): ResultCache {
  const entries = new Map<string, Json>();
  const keyOf = (...parts: string[]) => parts.join("\n");
  return {
    get: (tenant, bucket, key) => entries.get(keyOf(tenant, bucket, key)),
    put: async (tenant, bucket, key, value) => void entries.set(keyOf(tenant, bucket, key), value),
  };
}
