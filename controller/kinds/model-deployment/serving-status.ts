import type { ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { DEFAULT_REPLICAS } from "../../../schemas/model-deployment-in-cluster.ts";
import { revisionFields } from "../types.ts";
import { childName, revisionLabel, selectorOf } from "./names.ts";
import type { ObservedInCluster, Present } from "./present.ts";
import { addressOf } from "./served.ts";
import type { PinnedSource } from "./sources.ts";

/** What the sources were when they were looked up; what needs no looking up is not repeated. */
export function resolvedStatus(sources: readonly PinnedSource[]): Pick<ModelDeploymentStatus, "resolved"> {
  const open = sources.filter(({ reference, resolved }) => reference !== resolved);
  return open.length > 0 ? { resolved: open.map(recordOf) } : {};
}

const recordOf = ({ name, reference, resolved }: PinnedSource) => ({ name, source: reference, resolved });

/** What is true of the serving revision; of the wanted one as long as none serves. */
export function servingStatus(
  { deployment }: ObservedInCluster,
  { live, services, active }: Present,
  label: string | undefined,
  wanted: string | undefined,
): ModelDeploymentStatus {
  const serves = live.get(label ?? active ?? "");
  const served = serves?.served;
  const shown = served?.revision ?? wanted;
  const address = served && addressOf(services.get(childName(deployment, served.revision)));
  const { name, namespace } = deployment.metadata;
  const counted = serves ?? (wanted === undefined ? undefined : live.get(revisionLabel(wanted)));
  return {
    ...revisionFields(shown),
    replicas: {
      desired: deployment.spec.inCluster?.replicas ?? DEFAULT_REPLICAS,
      current: counted?.current ?? 0,
      ready: counted?.ready ?? 0,
    },
    ...(shown === undefined
      ? {}
      : {
          selector: Object.entries(selectorOf(deployment, shown))
            .map(([key, value]) => `${key}=${value}`)
            .join(","),
        }),
    ...(served
      ? {
          active: served.revision,
          endpoint: {
            url: `http://${name}.${namespace}.svc/v1`,
            model: served.model,
            ...(address === undefined ? {} : { address }),
          },
        }
      : {}),
  };
}
