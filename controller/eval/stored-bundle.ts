import { SlipwayError } from "../errors.ts";
import { canonicalJson } from "../graph/canonical.ts";
import type { BlobStore } from "../store/store.ts";

/*
 * All namespaces' bundles lie in one store, and whoever applies an EvalRun by hand can name any digest. So each says
 * whose it is.
 */

/** Stores what a run in this namespace needs. @returns the digest to name it by */
export function putBundle(namespace: string, bundle: object, blobs: Pick<BlobStore, "put">): Promise<string> {
  return blobs.put(canonicalJson({ ...bundle, namespace }));
}

/** @throws SlipwayError ForeignBundle for one that was stored for another namespace, or is none */
export async function loadBundle<T>(
  namespace: string,
  digest: string,
  blobs: Pick<BlobStore, "get">,
): Promise<T> {
  const { namespace: owner, ...bundle } = parsed(await blobs.get(digest));
  if (owner !== namespace)
    throw new SlipwayError("ForeignBundle", `${digest} is no bundle that was stored for this namespace`, {
      hint: "leave EvalRuns to their EvalSuite, pull request, ModelDeployment or Monitor",
    });
  return bundle as T;
}

/** Of what is no JSON object there is no owner. */
function parsed(data: Uint8Array): { namespace?: unknown } {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
