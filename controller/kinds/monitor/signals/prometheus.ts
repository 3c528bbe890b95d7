import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import {
  type Monitor,
  type MonitorSignal,
  PROMETHEUS_RUNTIMES,
  type PrometheusRuntime,
  type PrometheusSettings,
} from "../../../../schemas/monitor.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import type { EffectOutcome, EffectRequest } from "../../../runtime/kind.ts";
import { podPrefix } from "../../model-deployment/names.ts";
import type { Reading } from "../state.ts";
import { presetQuery } from "./presets.ts";
import { literal, matcher, prometheusDuration } from "./promql.ts";
import { servedRevisions } from "./served.ts";

export interface QueryInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly url: string;
  readonly secretRef?: PrometheusSettings["secretRef"];
  /** PromQL by signal. */
  readonly queries: Readonly<Record<string, string>>;
}

/** What Prometheus said of one query. */
export type QueryResult = { readonly value: number } | { readonly reason: string; readonly message: string };

export interface QueryOutput {
  readonly results: Readonly<Record<string, QueryResult>>;
}

/** The query of a signal, or why there is none. */
export function queryOf(
  monitor: Monitor,
  signal: MonitorSignal,
  target: ModelDeployment,
): { query: string } | { reason: string; message: string } {
  const { prometheus: settings } = monitor.spec;
  const { query, metric, window } = signal.prometheus ?? { window: "5m" };
  if (query !== undefined) return { query };
  const runtime = settings?.runtime ?? runtimeOf(target);
  if (!runtime)
    return {
      reason: "RuntimeUnknown",
      message: `which server ${target.metadata.name} runs on is not known: set spec.prometheus.runtime`,
    };
  const matchers = matchersOf(monitor, target);
  if (!matchers)
    return {
      reason: "TargetNotReady",
      message: `ModelDeployment ${target.metadata.name} serves nothing yet`,
    };
  const built = metric && presetQuery(metric, runtime, prometheusDuration(window), matchers);
  return built
    ? { query: built }
    : {
        reason: "MetricNotExported",
        message: `${runtime} does not export ${metric}: write a query, or measure it with a Probe`,
      };
}

/** The labels that tell the target's series from others'; undefined while there can be none. */
function matchersOf(monitor: Monitor, target: ModelDeployment): string[] | undefined {
  const { matchLabels } = monitor.spec.prometheus ?? {};
  if (matchLabels) return Object.entries(matchLabels).map(([label, value]) => matcher(label, "=", value));
  if (!target.spec.inCluster) return [];
  const pods = servedRevisions(monitor, target).map((each) => `${literal(podPrefix(target, each))}.+`);
  if (pods.length === 0) return undefined;
  const { namespace = "" } = target.metadata;
  return [matcher("namespace", "=", namespace), matcher("pod", "=~", pods.join("|"))];
}

/** The server of a deployment that Slipway runs, where it exports figures. */
function runtimeOf(target: ModelDeployment): PrometheusRuntime | undefined {
  const runtime = target.spec.inCluster?.runtime;
  return PROMETHEUS_RUNTIMES.find((known) => known === runtime);
}

/** All queries of a Monitor, which are asked together; undefined where no signal needs any. */
export function queryInput(
  monitor: Monitor,
  target: ModelDeployment,
  serviceAccountName: string,
): QueryInput | undefined {
  const { prometheus, signals } = monitor.spec;
  if (!prometheus) return undefined;
  const queries: Record<string, string> = {};
  for (const signal of signals) {
    if (signal.type !== "Prometheus") continue;
    const found = queryOf(monitor, signal, target);
    if ("query" in found) queries[signal.name] = found.query;
  }
  if (Object.keys(queries).length === 0) return undefined;
  const { url, secretRef } = prometheus;
  return {
    namespace: monitor.metadata.namespace ?? "",
    serviceAccountName,
    url,
    ...(secretRef ? { secretRef } : {}),
    queries,
  };
}

export const queryDigest = (input: QueryInput): string => digestOf(input);

export function queryRequest(input: QueryInput, attempt: number): EffectRequest {
  return {
    name: "query",
    inputDigest: queryDigest(input),
    input: input as unknown as Json,
    attempt,
    durable: false,
  };
}

export function queryReading(
  monitor: Monitor,
  signal: MonitorSignal,
  target: ModelDeployment,
  outcome: EffectOutcome | undefined,
): Reading {
  const found = queryOf(monitor, signal, target);
  if (!("query" in found)) return { kind: "none", ...found };
  if (!outcome || outcome.state === "Running") return { kind: "unknown" };
  if (outcome.state === "Failed") {
    const { code, message } = outcome.error ?? {
      code: "PrometheusUnreachable",
      message: "the query did not finish",
    };
    return { kind: "none", reason: code, message };
  }
  const result = (outcome.output as unknown as QueryOutput).results[signal.name];
  if (!result) return { kind: "unknown" };
  return "value" in result ? { kind: "value", value: result.value } : { kind: "none", ...result };
}
