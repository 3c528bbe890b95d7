import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import {
  type Monitor,
  monitorSpec,
  PROMETHEUS_METRICS,
  PROMETHEUS_RUNTIMES,
} from "../../../../schemas/monitor.ts";
import { failed, object, running, succeeded } from "../../../../test/kind-objects.ts";
import { matcher, presetQuery } from "./presets.ts";
import { queryInput, queryOf, queryReading } from "./prometheus.ts";

const external = object<ModelDeployment>("ModelDeployment", {
  spec: {
    type: "External",
    external: { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s", maxConcurrency: 8 },
  },
});
const inCluster = {
  ...external,
  metadata: { ...external.metadata, name: "triage.v2" },
  spec: { type: "InCluster", inCluster: { runtime: "VLLM" } },
} as unknown as ModelDeployment;

const monitorOf = (prometheus: object, settings: object = {}) =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      prometheus: { url: "http://prometheus:9090/", ...settings },
      signals: [{ name: "a", type: "Prometheus", prometheus, thresholds: { alert: 1 } }],
    }),
  });
const queryFor = (monitor: Monitor, target = external) => queryOf(monitor, monitor.spec.signals[0]!, target);

describe("presets", () => {
  test.each([
    [
      "latencyP95",
      "VLLM",
      '1000 * histogram_quantile(0.95, sum by (le) (rate(vllm:e2e_request_latency_seconds_bucket{a="b"}[5m])))',
    ],
    [
      "timeToFirstTokenP50",
      "Transformers",
      '1000 * histogram_quantile(0.5, sum by (le) (rate(slipway_serve_time_to_first_token_seconds_bucket{a="b"}[5m])))',
    ],
    ["tokensPerSecond", "TGI", 'sum(rate(tgi_request_generated_tokens_sum{a="b"}[5m]))'],
    ["queue", "LlamaCpp", 'sum(llamacpp:requests_deferred{a="b"})'],
    [
      "errorRate",
      "VLLM",
      '(sum(rate(http_requests_total{handler=~"/v1/.+",status="5xx",a="b"}[5m])) or vector(0)) / sum(rate(http_requests_total{handler=~"/v1/.+",a="b"}[5m]))',
    ],
    ["latencyP50", "LlamaCpp", undefined],
    ["timeToFirstTokenP95", "TGI", undefined],
  ] as const)("%s of %s", (metric, runtime, expected) => {
    expect(presetQuery(metric, runtime, "5m", ['a="b"'])).toBe(expected);
  });

  test("without labels the series are taken as they are", () => {
    expect(presetQuery("queue", "SGLang", "5m", [])).toBe("sum(sglang:num_queue_reqs)");
  });

  test("every runtime has most figures", () => {
    for (const runtime of PROMETHEUS_RUNTIMES) {
      const known = PROMETHEUS_METRICS.filter((metric) => presetQuery(metric, runtime, "5m", []));
      expect(known.length, runtime).toBeGreaterThanOrEqual(2);
    }
  });

  test("a label's value cannot end its quotes", () => {
    expect(matcher("a", "=", 'x"} or up{b="')).toBe(String.raw`a="x\"} or up{b=\""`);
  });
});

describe("the query of a signal", () => {
  test("its own, where it has one", () => {
    expect(queryFor(monitorOf({ query: "up" }))).toEqual({ query: "up" });
  });

  test("selects by the labels that are given, on the server that is given", () => {
    const settings = { runtime: "TGI", matchLabels: { job: "llm", zone: "a" } };
    expect(queryFor(monitorOf({ metric: "queue" }, settings))).toEqual({
      query: 'sum(tgi_queue_size{job="llm",zone="a"})',
    });
    expect(queryFor(monitorOf({ metric: "queue" }, { runtime: "TGI" }))).toEqual({
      query: "sum(tgi_queue_size)",
    });
  });

  test("of what Slipway runs, server and pods are known", () => {
    expect(queryFor(monitorOf({ metric: "queue" }), inCluster)).toEqual({
      query: String.raw`sum(vllm:num_requests_waiting{namespace="team",pod=~"triage\\.v2-.+"})`,
    });
  });

  test.each([
    [{}, "latencyP50", "RuntimeUnknown"],
    [{ runtime: "LlamaCpp" }, "latencyP50", "MetricNotExported"],
  ])("%j %s: %s", (settings, metric, reason) => {
    const monitor = monitorOf({ metric }, settings);
    expect(queryFor(monitor)).toMatchObject({ reason });
    expect(queryInput(monitor, external, "t")).toBeUndefined();
    expect(queryReading(monitor, monitor.spec.signals[0]!, external, undefined)).toMatchObject({
      kind: "none",
      reason,
    });
  });
});

test("all queries are asked together, with the Secret's name and never its value", () => {
  const monitor = monitorOf({ query: "up" }, { secretRef: { name: "prom", key: "token" } });
  expect(queryInput(monitor, external, "t")).toEqual({
    namespace: "team",
    serviceAccountName: "t",
    url: "http://prometheus:9090/",
    secretRef: { name: "prom", key: "token" },
    queries: { a: "up" },
  });
});

test.each([
  ["before the first", undefined, { kind: "unknown" }],
  ["while asking", running(), { kind: "unknown" }],
  ["not reached", failed("PrometheusUnreachable", true), { kind: "none", reason: "PrometheusUnreachable" }],
  ["a number", succeeded({ results: { a: { value: 3 } } }), { kind: "value", value: 3 }],
  [
    "no series",
    succeeded({ results: { a: { reason: "NoSeries", message: "no" } } }),
    { kind: "none", reason: "NoSeries" },
  ],
  ["an answer to former signals", succeeded({ results: {} }), { kind: "unknown" }],
])("%s", (_, outcome, expected) => {
  const monitor = monitorOf({ query: "up" });
  expect(queryReading(monitor, monitor.spec.signals[0]!, external, outcome)).toMatchObject(expected);
});
