import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Monitor, MonitorStatus } from "../../../schemas/monitor.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { EffectOutcome, Kind, ObjectRef, View } from "../../runtime/kind.ts";
import { tenantOf } from "../tenant.ts";
import { MODEL_DEPLOYMENT, MONITOR } from "../types.ts";
import { type ActionPlan, planDigest, planOf } from "./actions/plan.ts";
import { ruleRemoval } from "./actions/prometheus-rule.ts";
import { decide, type ObservedMonitor, RULE_REMOVAL } from "./decide.ts";
import { alertmanager } from "./effects/alertmanager.ts";
import { probe } from "./effects/probe.ts";
import { prometheusRule } from "./effects/prometheus-rule.ts";
import { query } from "./effects/query.ts";
import { webhook } from "./effects/webhook.ts";
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
    actions: actionOutcomes(monitor, target, serviceAccountName, (plan) =>
      view.effect(ref, plan.effect, planDigest(plan)),
    ),
  };
}

function actionOutcomes(
  monitor: Monitor,
  target: ModelDeployment | undefined,
  serviceAccountName: string,
  outcomeOf: (plan: ActionPlan) => EffectOutcome | undefined,
): ReadonlyMap<string, EffectOutcome | undefined> {
  const outcomes = new Map<string, EffectOutcome | undefined>();
  if (!target) return outcomes;
  for (const action of monitor.spec.actions ?? []) {
    const plan = planOf(monitor, action, { serviceAccountName, target });
    if (plan) outcomes.set(action.name, outcomeOf(plan));
  }
  const removal = ruleRemoval(monitor, serviceAccountName);
  if (removal) outcomes.set(RULE_REMOVAL, outcomeOf(removal));
  return outcomes;
}

export interface MonitorDependencies {
  readonly secrets: SecretReader;
  /** For what is no child of a Monitor, because its type may be missing. */
  readonly client: KubeClient;
}

export function monitor({ secrets, client }: MonitorDependencies): Kind<ObservedMonitor, MonitorStatus> {
  return {
    type: MONITOR,
    childTypes: [],
    observe,
    decide,
    dependencies: (object) => [
      { type: MODEL_DEPLOYMENT, name: (object as unknown as Monitor).spec.targetRef.name },
    ],
    effects: {
      probe: probe(secrets),
      query: query(secrets),
      alertmanager: alertmanager(secrets),
      webhook: webhook(secrets),
      prometheusRule: prometheusRule(client),
    },
  };
}
