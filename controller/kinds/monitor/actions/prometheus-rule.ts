import type { Condition } from "../../../../schemas/common.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import type { Monitor, MonitorSignal } from "../../../../schemas/monitor.ts";
import type { MonitorAction } from "../../../../schemas/monitor-actions.ts";
import type { KubeObject } from "../../../kube/resources.ts";
import { condition } from "../../../runtime/conditions.ts";
import type { EffectOutcome } from "../../../runtime/kind.ts";
import { queryOf } from "../signals/prometheus.ts";
import { prometheusDuration } from "../signals/promql.ts";
import { SEVERITIES } from "./alertmanager.ts";
import type { ActionContext, ActionPlan } from "./plan.ts";

export interface RuleInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly monitor: { readonly name: string; readonly uid: string };
  /** Absent: the rule is removed. */
  readonly rule?: KubeObject;
}

/** What became of the rule. */
export interface RuleOutput {
  /** `namespace/name` of Prometheus objects that take the rule up; absent where that cannot be told. */
  readonly selectedBy?: readonly string[];
  /** The cluster has no PrometheusRule. */
  readonly missing?: true;
  readonly message?: string;
}

/** Applied again this often, in case that somebody has changed it, or that the operator was installed meanwhile. */
const EVERY_MS = 300_000;

export const ruleName = (monitor: string): string => `slipway-${monitor}`;

export function rulePlan(
  monitor: Monitor,
  action: MonitorAction,
  { serviceAccountName, target }: ActionContext,
): ActionPlan | undefined {
  if (!action.prometheusRule) return undefined;
  const { namespace = "", name, uid = "" } = monitor.metadata;
  const input: RuleInput = {
    namespace,
    serviceAccountName,
    monitor: { name, uid },
    rule: ruleOf(monitor, target, action.prometheusRule.labels ?? {}),
  };
  return { effect: "prometheusRule", input, durable: false, everyMs: EVERY_MS };
}

/** The alerts that Prometheus itself evaluates. */
function ruleOf(
  monitor: Monitor,
  target: ModelDeployment,
  labels: Readonly<Record<string, string>>,
): KubeObject {
  const { name, namespace = "" } = monitor.metadata;
  return {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PrometheusRule",
    metadata: { name: ruleName(name), namespace, labels: { ...labels } },
    spec: {
      groups: [
        {
          name: `slipway.${namespace}.${name}`,
          rules: monitor.spec.signals.flatMap((signal) => rulesOf(monitor, target, signal)),
        },
      ],
    },
  };
}

function rulesOf(monitor: Monitor, target: ModelDeployment, signal: MonitorSignal): object[] {
  if (signal.type !== "Prometheus") return [];
  const found = queryOf(monitor, signal, target);
  if (!("query" in found)) return [];
  // A comment would take what follows it with it.
  const query = found.query.includes("#") ? `${found.query}\n` : found.query;
  const { operator, warning, alert } = signal.thresholds;
  const sign = operator === "Below" ? "<" : ">";
  const { name, namespace = "" } = monitor.metadata;
  const rule = (expr: string, state: "WARNING" | "ALERT", what: string, own: object = {}) => ({
    alert: "SlipwayMonitor",
    expr,
    ...(signal.for === "0s" ? {} : { for: prometheusDuration(signal.for) }),
    labels: {
      monitor: name,
      namespace,
      signal: signal.name,
      target: monitor.spec.targetRef.name,
      severity: SEVERITIES[state],
      ...own,
    },
    annotations: { summary: `signal ${signal.name} of Monitor ${namespace}/${name} ${what}` },
  });
  const beyond = (limit: number | undefined, state: "WARNING" | "ALERT") =>
    limit === undefined ? [] : [rule(`(${query}) ${sign} ${limit}`, state, `is in ${state} at {{ $value }}`)];
  return [
    ...beyond(warning, "WARNING"),
    ...beyond(alert, "ALERT"),
    // By a label of its own: the end of one of two alike would be sent as the end of the other.
    ...(signal.noData === "Alert"
      ? [rule(`absent(${query})`, "ALERT", "has no data", { no_data: "true" })]
      : []),
  ];
}

/** Takes the rule away when no action asks for it any more. */
export function ruleRemoval(monitor: Monitor, serviceAccountName: string): ActionPlan | undefined {
  if (monitor.status?.rule === undefined) return undefined;
  if (monitor.spec.actions?.some(({ type }) => type === "PrometheusRule")) return undefined;
  const { namespace = "", name, uid = "" } = monitor.metadata;
  const input: RuleInput = { namespace, serviceAccountName, monitor: { name, uid } };
  return { effect: "prometheusRule", input, durable: false };
}

/** The rule's name once it is applied, and whether some Prometheus takes it up; what was known stands meanwhile. */
export function ruleStatus(
  monitor: Monitor,
  outcome: EffectOutcome | undefined,
): { rule?: string; condition?: Condition } {
  const before = monitor.status?.conditions?.find(({ type }) => type === "RulesSelected");
  const { rule } = monitor.status ?? {};
  const name = ruleName(monitor.metadata.name);
  if (outcome?.state !== "Succeeded")
    return { ...(rule === undefined ? {} : { rule }), ...(before ? { condition: before } : {}) };
  const { selectedBy, missing, message = "" } = outcome.output as unknown as RuleOutput;
  if (missing)
    return {
      condition: condition(
        "RulesSelected",
        "False",
        "PrometheusOperatorMissing",
        "the cluster has no PrometheusRule: install the Prometheus Operator's CRDs",
      ),
    };
  if (!selectedBy)
    return { rule: name, condition: condition("RulesSelected", "Unknown", "SelectionUnknown", message) };
  return {
    rule: name,
    condition:
      selectedBy.length > 0
        ? condition("RulesSelected", "True", "Selected", `${name} is taken up by ${selectedBy.join(", ")}`)
        : condition(
            "RulesSelected",
            "False",
            "NotSelected",
            `no Prometheus selects ${name}: give prometheusRule.labels what some ruleSelector asks for`,
          ),
  };
}
