import { durationMs } from "../../../schemas/common.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Monitor, MonitorSignal } from "../../../schemas/monitor.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { nextAttempt } from "./attempts.ts";
import type { ObservedMonitor } from "./decide.ts";
import { probeConfig, probeReading, probeRequest } from "./signals/probe.ts";
import { queryInput, queryReading, queryRequest } from "./signals/prometheus.ts";
import { decideReplay, type ReplayStatus } from "./signals/replay.ts";
import type { Reading } from "./state.ts";
import type { TargetEndpoint } from "./target.ts";

export interface Measuring {
  /** The EvalRuns of replays. */
  readonly children: readonly KubeObject[];
  readonly effects: readonly EffectRequest[];
  readonly readings: ReadonlyMap<string, Reading>;
  /** What the status says besides of a replay. */
  readonly replays: ReadonlyMap<string, ReplayStatus>;
  readonly requeueAfterMs: number;
}

/** Whether the annotation asks for a look that was not taken yet. */
export function hasNewRequest(monitor: Monitor): boolean {
  const asked = requestedAt(monitor as unknown as KubeObject);
  return asked !== undefined && asked !== monitor.status?.lastHandledRequestedAt;
}

/** What is measured now, what is known of it, and when to measure again. */
export function measure(
  { monitor, serviceAccountName, probe, query, replays }: ObservedMonitor,
  target: ModelDeployment,
  endpoint: TargetEndpoint,
  now: Date,
): Measuring {
  const askNow = hasNewRequest(monitor);
  const everyMs = durationMs(monitor.spec.interval);
  const effects = new Map<string, EffectRequest>();
  const ask = (request: EffectRequest) => effects.set(`${request.name}/${request.inputDigest}`, request);
  const children: KubeObject[] = [];
  const kept = new Map<string, ReplayStatus>();
  const waits = [everyMs];
  const turn = (outcome: EffectOutcome | undefined): number => {
    const { attempt, waitMs } = nextAttempt(outcome, everyMs, askNow, now);
    waits.push(waitMs);
    return attempt;
  };
  const config = probeConfig(monitor, endpoint, serviceAccountName);
  if (config) ask(probeRequest(monitor, config, turn(probe), probe, now));
  const queries = queryInput(monitor, target, serviceAccountName);
  if (queries) ask(queryRequest(queries, turn(query)));
  const readings = new Map<string, Reading>();
  const reading = (signal: MonitorSignal): Reading => {
    if (signal.probe) return probeReading(monitor, signal.probe, probe, now);
    const replay = signal.replay && replays.get(signal.name);
    if (!signal.replay || !replay) return queryReading(monitor, signal, target, query);
    const decided = decideReplay(monitor, signal, signal.replay, replay, now);
    children.push(...decided.children);
    // Two signals may be of one suite.
    for (const request of decided.effects) ask(request);
    kept.set(signal.name, decided.status);
    if (decided.waitMs !== undefined) waits.push(decided.waitMs);
    return decided.reading;
  };
  for (const signal of monitor.spec.signals) readings.set(signal.name, reading(signal));
  return {
    children,
    effects: [...effects.values()],
    readings,
    replays: kept,
    requeueAfterMs: Math.min(...waits),
  };
}
