import { durationMs } from "../../../../schemas/common.ts";
import type { Monitor } from "../../../../schemas/monitor.ts";
import type { MonitorAction } from "../../../../schemas/monitor-actions.ts";
import type { ActionContext, ActionPlan } from "./plan.ts";

/** An alert as Alertmanager knows it: its labels are what it is. */
export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  /** When it was over; absent while it fires. */
  readonly endsAt?: string;
}

export interface AlertmanagerInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly url: string;
  readonly secretRef?: { readonly name: string; readonly key: string };
  readonly alerts: readonly Alert[];
  /** How long a firing alert is good for, ms: it is sent again well before. */
  readonly validMs: number;
}

export const SEVERITIES = { WARNING: "warning", ALERT: "critical" } as const;

/** As Prometheus does it: an alert outlives three sendings that are lost. */
const VALID_SENDINGS = 4;

/** Sends what fires, and what fired in the history and does no more; repeated while anything fires. */
export function alertmanagerPlan(
  monitor: Monitor,
  action: MonitorAction,
  { serviceAccountName }: ActionContext,
): ActionPlan | undefined {
  const settings = action.alertmanager;
  const alerts = alertsOf(monitor, settings?.labels ?? {});
  if (!settings || alerts.length === 0) return undefined;
  const resendMs = durationMs(settings.resend);
  const input: AlertmanagerInput = {
    namespace: monitor.metadata.namespace ?? "",
    serviceAccountName,
    url: settings.url,
    ...(settings.secretRef ? { secretRef: settings.secretRef } : {}),
    alerts,
    validMs: VALID_SENDINGS * resendMs,
  };
  const fires = alerts.some(({ endsAt }) => endsAt === undefined);
  return { effect: "alertmanager", input, durable: false, ...(fires ? { everyMs: resendMs } : {}) };
}

function alertsOf(monitor: Monitor, own: Readonly<Record<string, string>>): Alert[] {
  const { signals = [], history = [] } = monitor.status ?? {};
  const { namespace = "", name } = monitor.metadata;
  const alert = (signal: string, state: "WARNING" | "ALERT", startsAt: string, value?: string): Alert => ({
    labels: {
      ...own,
      alertname: "SlipwayMonitor",
      namespace,
      monitor: name,
      signal,
      target: monitor.spec.targetRef.name,
      severity: SEVERITIES[state],
    },
    annotations: {
      summary: `signal ${signal} of Monitor ${namespace}/${name} is in ${state}${value === undefined ? "" : ` at ${value}`}`,
      ...(monitor.spec.description ? { description: monitor.spec.description } : {}),
    },
    startsAt,
  });
  const firing = signals.flatMap(({ name: signal, state, since, value }) =>
    state === "WARNING" || state === "ALERT" ? [alert(signal, state, since, value)] : [],
  );
  const seen = new Set(firing.map(({ labels }) => `${labels.signal}/${labels.severity}`));
  const over: Alert[] = [];
  // Newest first: the transition before is the one that ended it.
  const ended = new Map<string, string>();
  for (const { signal, to, time, value } of history) {
    if (to === "WARNING" || to === "ALERT") {
      const key = `${signal}/${SEVERITIES[to]}`;
      const endsAt = ended.get(signal);
      if (!seen.has(key) && endsAt !== undefined && endsAt > time)
        over.push({ ...alert(signal, to, time, value), endsAt });
      seen.add(key);
    }
    ended.set(signal, time);
  }
  return [...firing, ...over];
}
