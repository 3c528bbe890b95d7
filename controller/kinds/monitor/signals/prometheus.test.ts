import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import {
  type Monitor,
  monitorSpec,
  PROMETHEUS_METRICS,
  PROMETHEUS_RUNTIMES,
} from "../../../../schemas/monitor.ts";
import { failed, object, running, succeeded } from "../../../../test/kind-objects.ts";
import { childName } from "../../model-deployment/names.ts";
import { presetQuery } from "./presets.ts";
import { queryInput, queryOf, queryReading } from "./prometheus.ts";
import { literal, matcher } from "./promql.ts";

const external = object<ModelDeployment>("ModelDeployment", {
  spec: {
    type: "External",
    external: { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s", maxConcurrency: 8 },
  },
});
const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const inCluster = (name: string, status: object = { active: A }, runtime = "VLLM") =>
  ({
    ...external,
    metadata: { ...external.metadata, name },
    spec: { type: "InCluster", inCluster: { runtime } },
    status,
  }) as unknown as ModelDeployment;

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

test("a name stands for itself in a pattern", () => {
  expect(literal("a.b-c")).toBe(String.raw`a\.b-c`);
  const all = String.raw`\^$.*+?()[]{}|`;
  expect(all).toMatch(new RegExp(`^${literal(all)}$`));
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

  describe("of what Slipway runs", () => {
    const monitor = monitorOf({ metric: "queue" });
    /** What the query selects pods by; Prometheus wants the whole name to fit. */
    const podsOf = (target: ModelDeployment, of = monitor) => {
      const { query } = queryFor(of, target) as { query: string };
      return new RegExp(`^(?:${JSON.parse(/pod=~(".*")/.exec(query)?.[1] ?? "")})$`);
    };
    /** As the ReplicaSet asks for it and the API server makes it. */
    const podOf = (target: ModelDeployment, revision: string) =>
      `${`${childName(target, revision)}-5d4f8c7b96-`.slice(0, 58)}x7k2p`;

    test("server and pods are known", () => {
      const target = inCluster("triage");
      expect(queryFor(monitor, target)).toEqual({
        query: `sum(vllm:num_requests_waiting{namespace="team",pod=~"${childName(target, A)}-.+"})`,
      });
    });

    test.each(["triage", "t".repeat(33), "t".repeat(44), "t".repeat(45), "t".repeat(50), "t".repeat(63)])(
      "the pods of the revision that serves, and of no other deployment: %s",
      (name) => {
        const target = inCluster(name);
        const pods = podsOf(target);
        expect(podOf(target, A)).toMatch(pods);
        expect(podOf(target, B)).not.toMatch(pods);
        const others = [`${name}-v2`, `${name.slice(0, 50)}-${"e".repeat(12)}`, `${name.slice(0, 50)}xyz`];
        for (const other of others) {
          const theirs = { ...inCluster(other).metadata, uid: `uid-${other}` };
          expect(podOf({ ...inCluster(other), metadata: theirs }, A)).not.toMatch(pods);
        }
      },
    );

    test("those too that served within the window, but none that comes up or was stopped", () => {
      const served = [B, A].map((revision) => ({ revision, since: "2030-01-01T00:00:00Z" }));
      const before = { ...monitor, status: { served } };
      const rollout = { revision: C, phase: "Blocked", reason: "GatesFailed", message: "" };
      const target = inCluster("triage", { active: B, rollout });
      const selected = (of: ModelDeployment) =>
        [A, B, C].filter((each) => podsOf(of, before).test(podOf(of, each)));
      expect(selected(target)).toEqual([A, B]);
      // Back to what served a moment ago: its new pods answer evaluations only.
      expect(selected(inCluster("triage", { active: B, rollout: { ...rollout, revision: A } }))).toEqual([B]);
    });

    test("also where the spec has to say which server it is", () => {
      const custom = inCluster("triage", { active: A }, "Custom");
      expect(queryFor(monitorOf({ metric: "queue" }, { runtime: "TGI" }), custom)).toEqual({
        query: `sum(tgi_queue_size{namespace="team",pod=~"${childName(custom, A)}-.+"})`,
      });
    });

    test("nothing is asked while nothing serves", () => {
      expect(queryFor(monitor, inCluster("triage", {}))).toMatchObject({ reason: "TargetNotReady" });
    });
  });

  test("a window is written as Prometheus reads it", () => {
    const query = (window: string) =>
      queryFor(monitorOf({ metric: "tokensPerSecond", window }, { runtime: "VLLM" }));
    expect(query("1h30m")).toEqual({ query: "sum(rate(vllm:generation_tokens_total[1h30m]))" });
    expect(query("30m1h")).toEqual({ query: "sum(rate(vllm:generation_tokens_total[5400000ms]))" });
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
