import { LABEL_REPOSITORY } from "../../schemas/kind.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { KubeObject } from "../kube/resources.ts";
import type { View } from "../runtime/kind.ts";
import { REPOSITORY } from "./types.ts";

/**
 * The ServiceAccount as which an object's Secrets are read: that of the Repository it came from, or the
 * namespace's `default` for an object made by hand.
 */
export function tenantOf(object: KubeObject, view: View): string {
  const name = object.metadata.labels?.[LABEL_REPOSITORY];
  if (name === undefined) return "default";
  const repository = view.get<KubeObject & Repository>(REPOSITORY, object.metadata.namespace ?? "", name);
  return repository?.spec.serviceAccountName ?? "default";
}
