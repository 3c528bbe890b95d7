import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Monitor, MonitorStatus, SignalStatus, Transition } from "../../../schemas/monitor.ts";
import type { Json } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import { ready, reconciling } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EventNote } from "../../runtime/kind.ts";
import { timestamp } from "../../runtime/status.ts";
import { revisionFields } from "../types.ts";
import { type ActionContext, decideActions, planDigest } from "./actions/plan.ts";
import { ruleRemoval, ruleStatus } from "./actions/prometheus-rule.ts";
import { actionsCondition, alertingCondition, telemetryCondition } from "./conditions.ts";
import { hasNewRequest, type Measuring, measure } from "./measure.ts";
import { asChild, type ObservedReplay } from "./signals/replay.ts";
import { servedStatus } from "./signals/served.ts";
import { judge, transitionsOf, worstOf } from "./state.ts";
import { endpointOfTarget } from "./target.ts";

export interface ObservedMonitor {
  readonly monitor: Monitor;
  readonly target: ModelDeployment | undefined;
  readonly serviceAccountName: string;
  readonly probe: EffectOutcome | undefined;
  readonly query: EffectOutcome | undefined;
  /** By signal. */
  readonly replays: ReadonlyMap<string, ObservedReplay>;
  /** Every EvalRun of this Monitor, also of signals that are gone. */
  readonly runs: readonly EvalRun[];
  /** What actions name, by `Kind/name`. */
  readonly named: ReadonlyMap<string, unknown>;
  /** Of the call that each action wants made now, by the action's name. */
  readonly actions: ReadonlyMap<string, EffectOutcome | undefined>;
}

/** Where `actions` has the outcome of taking the rule away; no action has such a name. */
export const RULE_REMOVAL = "/rule";

/** Limit of the schema. */
const MAX_HISTORY = 20;

/** Measures the signals, moves their states, and tells of what changed. */
export function decide(observed: ObservedMonitor, now: Date): Decision<MonitorStatus> {
  const { monitor, target } = observed;
  const identity = revisionFields(revisionOf(monitor, () => undefined));
  const endpoint = endpointOfTarget(target);
  if (!target || !endpoint) {
    const { name } = monitor.spec.targetRef;
    const [reason, message] = target
      ? (["TargetNotReady", `ModelDeployment ${name} has no endpoint yet`] as const)
      : (["TargetNotFound", `there is no ModelDeployment ${name}`] as const);
    return {
      children: observed.runs.map(asChild),
      effects: [],
      status: { ...kept(monitor), ...identity, conditions: reconciling(reason, message) },
    };
  }
  const measuring = measure(observed, target, endpoint, now);
  const { signals, history, transitions } = advance(monitor, measuring, now);
  const context = actionContext(observed, target);
  const actions = decideActions(monitor, observed.actions, context, now, hasNewRequest(monitor));
  const rule = ruleOf(observed);
  const overall = worstOf(signals.map(({ state }) => state));
  const before = monitor.status ?? {};
  const open = monitor.spec.signals.length - signals.length;
  return {
    children: measuring.children,
    effects: [...measuring.effects, ...actions.effects, ...rule.effects],
    status: {
      ...identity,
      ...(overall === undefined
        ? {}
        : {
            state: overall,
            since: before.state === overall && before.since !== undefined ? before.since : timestamp(now),
            summary: `${signals.filter(({ state }) => state === "OK").length}/${monitor.spec.signals.length}`,
          }),
      signals,
      history,
      ...servedStatus(monitor, target, now),
      ...(actions.statuses.length > 0 ? { actions: [...actions.statuses] } : {}),
      ...(rule.name === undefined ? {} : { rule: rule.name }),
      conditions: [
        ...(open > 0
          ? reconciling("Measuring", `${open} of ${monitor.spec.signals.length} signals have no reading yet`)
          : ready("Watching", `${monitor.spec.targetRef.name}, every ${monitor.spec.interval}`)),
        alertingCondition(signals),
        telemetryCondition(signals, measuring.readings),
        ...actionsCondition(actions.statuses),
        ...(rule.condition ? [rule.condition] : []),
      ],
    },
    // Actions tell of what is written: of these transitions right after this.
    requeueAfterMs: transitions.length > 0 ? 50 : Math.min(measuring.requeueAfterMs, actions.waitMs),
    events: [...transitions.map(eventOf), ...actions.events],
  };
}

/** Used by `observe` too, which looks for the outcomes of the same calls. */
export function actionContext(
  { serviceAccountName, runs, named }: Pick<ObservedMonitor, "serviceAccountName" | "runs" | "named">,
  target: ModelDeployment,
): ActionContext {
  return {
    serviceAccountName,
    target,
    runs,
    get: <T>(kind: string, name: string) => named.get(`${kind}/${name}`) as T | undefined,
  };
}

/** What is known of the PrometheusRule, and its removal when it is not wanted any more. */
function ruleOf({ monitor, actions, serviceAccountName }: ObservedMonitor) {
  const wanted = monitor.spec.actions?.find(({ type }) => type === "PrometheusRule");
  if (wanted) {
    const { rule, condition } = ruleStatus(monitor, actions.get(wanted.name));
    return { effects: [], name: rule, condition };
  }
  const removal = ruleRemoval(monitor, serviceAccountName);
  const outcome = actions.get(RULE_REMOVAL);
  if (!removal || outcome?.state === "Succeeded")
    return { effects: [], name: undefined, condition: undefined };
  const attempt = (outcome?.attempt ?? 1) + (outcome?.state === "Failed" ? 1 : 0);
  const { effect: name, input, durable } = removal;
  const request = {
    name,
    inputDigest: planDigest(removal),
    input: input as unknown as Json,
    attempt,
    durable,
  };
  return { effects: [request], name: monitor.status?.rule, condition: undefined };
}

/** The states after these readings, and the history with what changed. */
function advance(monitor: Monitor, { readings, replays }: Measuring, now: Date) {
  const before = monitor.status?.signals ?? [];
  const signals = monitor.spec.signals.flatMap((signal): SignalStatus[] => {
    const known = before.find(({ name }) => name === signal.name);
    const next = judge(signal, readings.get(signal.name) ?? { kind: "unknown" }, known, now);
    return next ? [{ ...next, ...replays.get(signal.name) }] : [];
  });
  const past = monitor.status?.history ?? [];
  const transitions = transitionsOf(before, signals, past[0]?.id ?? 0, now);
  return { signals, transitions, history: [...transitions.toReversed(), ...past].slice(0, MAX_HISTORY) };
}

/** What stays true while the target is away. */
function kept({ status = {} }: Monitor): MonitorStatus {
  const { state, since, summary, signals, history, served, actions, rule } = status;
  return JSON.parse(
    JSON.stringify({ state, since, summary, signals, history, served, actions, rule }),
  ) as MonitorStatus;
}

const REASONS = {
  OK: "SignalOK",
  NO_DATA: "SignalNoData",
  WARNING: "SignalWarning",
  ALERT: "SignalAlert",
} as const;

function eventOf({ signal, from, to, value }: Transition): EventNote {
  const change = from === undefined ? `is ${to}` : `went from ${from} to ${to}`;
  return {
    type: to === "OK" ? "Normal" : "Warning",
    reason: REASONS[to],
    note: `signal ${signal} ${change}${value === undefined ? "" : ` at ${value}`}`,
  };
}
