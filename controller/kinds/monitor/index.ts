import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Monitor, MonitorStatus } from "../../../schemas/monitor.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { Kind, ObjectRef, View } from "../../runtime/kind.ts";
import { tenantOf } from "../tenant.ts";
import { MODEL_DEPLOYMENT, MONITOR } from "../types.ts";
import { decide, type ObservedMonitor } from "./decide.ts";
import { probe } from "./effects/probe.ts";
import { query } from "./effects/query.ts";
import { probeConfig, probeDigest } from "./signals/probe.ts";
import { queryDigest, queryInput } from "./signals/prometheus.ts";
import { endpointOfTarget } from "./target.ts";

function observe(object: KubeObject, view: View): ObservedMonitor {
  const monitor = object as unknown as Monitor;
  const { namespace = "", name } = object.metadata;
  const ref: ObjectRef = { kind: "Monitor", namespace, name };
  const target = view.get<KubeObject & ModelDeployment>(
    MODEL_DEPLOYMENT,
    namespace,
    monitor.spec.targetRef.name,
  );
  const serviceAccountName = tenantOf(object, view);
  const endpoint = endpointOfTarget(target);
  const config = endpoint && probeConfig(monitor, endpoint, serviceAccountName);
  const queries = target && queryInput(monitor, target, serviceAccountName);
  return {
    monitor,
    target,
    serviceAccountName,
    probe: config && view.effect(ref, "probe", probeDigest(config)),
    query: queries && view.effect(ref, "query", queryDigest(queries)),
  };
}

export interface MonitorDependencies {
  readonly secrets: SecretReader;
}

export function monitor({ secrets }: MonitorDependencies): Kind<ObservedMonitor, MonitorStatus> {
  return {
    type: MONITOR,
    childTypes: [],
    observe,
    decide,
    dependencies: (object) => [
      { type: MODEL_DEPLOYMENT, name: (object as unknown as Monitor).spec.targetRef.name },
    ],
    effects: { probe: probe(secrets), query: query(secrets) },
  };
}
