import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ActionPlan } from "../../../controller/kinds/monitor/actions/plan.ts";
import { type RuleInput, rulePlan } from "../../../controller/kinds/monitor/actions/prometheus-rule.ts";
import { query } from "../../../controller/kinds/monitor/effects/query.ts";
import { presetQuery } from "../../../controller/kinds/monitor/signals/presets.ts";
import type { QueryInput, QueryOutput } from "../../../controller/kinds/monitor/signals/prometheus.ts";
import type { SecretReader } from "../../../controller/kube/secrets.ts";
import type { EffectContext } from "../../../controller/runtime/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import {
  type Monitor,
  monitorSpec,
  PROMETHEUS_METRICS,
  PROMETHEUS_RUNTIMES,
} from "../../../schemas/monitor.ts";
import { object } from "../../kind-objects.ts";
import { checkRules, type MonitoringServer, startPrometheus } from "../../monitoring/servers.ts";
import { waitFor } from "../../scenario/wait.ts";

/** What a server such as vLLM exports, filled by hand. */
const registry = new Registry();
const registers = [registry];
const latency = new Histogram({
  name: "vllm:e2e_request_latency_seconds",
  help: "-",
  buckets: [0.1, 0.2, 0.5, 1, 2],
  registers,
});
const requests = new Counter({
  name: "http_requests_total",
  help: "-",
  labelNames: ["handler", "status"],
  registers,
});
const queue = new Gauge({ name: "vllm:num_requests_waiting", help: "-", registers });

/** The rules that an action PrometheusRule writes for these signals, as a file that Prometheus loads. */
async function ruleFile(
  name: string,
  signals: readonly object[],
  prometheus: object,
  target: Partial<ModelDeployment> = { spec: { type: "External" } },
): Promise<{ file: string; count: number }> {
  const spec = monitorSpec.parse({
    targetRef: { name: "modeldeployment" },
    prometheus: { url: "http://prometheus:9090", ...prometheus },
    signals: signals.map((signal) => ({ type: "Prometheus", ...signal })),
    actions: [{ name: "rule", type: "PrometheusRule", prometheusRule: {} }],
  });
  const { input } = rulePlan(object<Monitor>("Monitor", { spec }), spec.actions![0]!, {
    serviceAccountName: "team",
    target: object<ModelDeployment>("ModelDeployment", target as never),
    runs: [],
    get: () => undefined,
  }) as ActionPlan;
  const { groups } = (input as RuleInput).rule!.spec as { groups: { rules: unknown[] }[] };
  const file = join(folder, `${name}.yml`);
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ groups }));
  return { file, count: groups.flatMap(({ rules }) => rules).length };
}

let folder: string;
let exporter: Server;
let prometheus: MonitoringServer;

const secrets = {
  read: async () => ({ data: { token: "canary-token" }, allowedHosts: ["other.example.com"] }),
} as unknown as SecretReader;

async function ask(queries: Record<string, string>, changes: Partial<QueryInput> = {}) {
  const input: QueryInput = {
    namespace: "team",
    serviceAccountName: "team",
    url: `${prometheus.url}/`,
    queries,
    ...changes,
  };
  const context = { signal: AbortSignal.timeout(20_000) } as EffectContext;
  return (await query(secrets)(input as never, context)) as unknown as QueryOutput;
}

const preset = (metric: (typeof PROMETHEUS_METRICS)[number]) =>
  presetQuery(metric, "VLLM", "10s", ['job="llm"', 'zone="a"']) ?? "";

beforeAll(async () => {
  exporter = createServer(async (_, response) => response.end(await registry.metrics()));
  await new Promise<void>((resolve) => exporter.listen(0, "127.0.0.1", resolve));
  const { port } = exporter.address() as AddressInfo;
  folder = await mkdtemp(join(tmpdir(), "slipway-rules-"));
  const { file } = await ruleFile(
    "queue",
    [
      {
        name: "waiting",
        // A comment must not take the limit with it.
        prometheus: { query: 'sum(vllm:num_requests_waiting{job="llm"}) # of all' },
        thresholds: { warning: 5, alert: 50 },
        for: "1s",
      },
      { name: "queue", prometheus: { metric: "queue" }, thresholds: { alert: 5 } },
      { name: "lost", prometheus: { query: "absent_metric" }, thresholds: { alert: 1 }, noData: "Alert" },
    ],
    { runtime: "VLLM", matchLabels: { job: "llm", zone: "a" } },
  );
  const targets = [{ job: "llm", host: `127.0.0.1:${port}`, labels: { zone: "a" } }];
  prometheus = await startPrometheus(targets, [file]);
  queue.set(0);
  await waitFor(
    "Prometheus to scrape",
    () => ask({ up: 'up{job="llm"}' }),
    ({ results }) => "value" in (results.up ?? {}),
  );
});
afterAll(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  exporter?.closeAllConnections();
  exporter?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

test("figures follow what the server measured", async () => {
  queue.set(7);
  const filled = waitFor(
    "the figures",
    async () => {
      for (let count = 0; count < 10; count++) {
        latency.observe(0.3);
        requests.inc({ handler: "/v1/chat/completions", status: count < 2 ? "5xx" : "2xx" });
        requests.inc({ handler: "/metrics", status: "5xx" });
      }
      return ask({ p50: preset("latencyP50"), errors: preset("errorRate"), queue: preset("queue") });
    },
    ({ results }) => ["p50", "errors", "queue"].every((name) => "value" in (results[name] ?? {})),
    { intervalMs: 1_000 },
  );
  const { results } = await filled;
  expect(results.queue).toEqual({ value: 7 });
  expect((results.errors as { value: number }).value).toBeCloseTo(0.2, 1);
  // All are in the bucket from 200 to 500 ms, whose middle is the median.
  expect((results.p50 as { value: number }).value).toBeCloseTo(350, 0);
});

describe("every figure of every runtime", () => {
  const all = PROMETHEUS_RUNTIMES.flatMap((runtime) =>
    PROMETHEUS_METRICS.flatMap((metric) => {
      const text = presetQuery(metric, runtime, "1m", ['namespace="n"', 'pod=~"a\\\\.b-.+"']);
      return text === undefined ? [] : [[runtime, metric, text] as const];
    }),
  );

  test.each(all)("%s %s is PromQL that gives one number", async (_runtime, _metric, text) => {
    const { results } = await ask({ a: text });
    // Nothing like it is scraped: the query itself is understood.
    expect(results.a).toMatchObject({ reason: "NoSeries" });
  });
});

describe("the rules that Slipway writes", () => {
  const signals = (metrics: readonly string[]) =>
    metrics.map((metric, index) => ({
      name: metric.toLowerCase(),
      // Prometheus wants the greater unit first; Slipway does not.
      prometheus: { metric, window: index % 2 ? "30s1m" : "10m" },
      thresholds: { operator: "Below", warning: 1e12, alert: -0.000_000_1 },
      for: index % 2 ? "1m1m" : "1h30m",
      noData: "Alert",
    }));

  test("of every figure of every runtime are rules to promtool", async () => {
    const target = {
      metadata: { name: "a.b", namespace: "team", uid: "u" },
      spec: { type: "InCluster", inCluster: { runtime: "VLLM" } },
      status: { active: "a".repeat(64) },
    } as unknown as Partial<ModelDeployment>;
    const written = await Promise.all(
      PROMETHEUS_RUNTIMES.map((runtime) =>
        ruleFile(runtime, signals(PROMETHEUS_METRICS), { runtime }, target),
      ),
    );
    const said = await checkRules(written.map(({ file }) => file));
    expect(said.match(/SUCCESS: \d+ rules found/g)).toEqual(
      written.map(({ count }) => `SUCCESS: ${count} rules found`),
    );
    expect(Math.min(...written.map(({ count }) => count))).toBeGreaterThanOrEqual(6);
  });

  test("fire in Prometheus beyond a limit, and no more when it is kept again", async () => {
    const alerts = async () => {
      const answer = await fetch(`${prometheus.url}/api/v1/alerts`);
      const { data } = (await answer.json()) as {
        data: { alerts: { state: string; labels: Record<string, string>; annotations: object }[] };
      };
      const firing = data.alerts.filter(({ state }) => state === "firing");
      return new Map(firing.map((alert) => [`${alert.labels.signal} ${alert.labels.severity}`, alert]));
    };
    const fired = (wanted: readonly string[]) =>
      waitFor(
        `of the alerts those to fire: ${wanted.join(", ")}`,
        alerts,
        (found) => [...found.keys()].toSorted().join() === wanted.join(),
        { show: (found) => [...found.values()] },
      );
    queue.set(0);
    await fired(["lost critical"]);
    queue.set(8);
    const found = await fired(["lost critical", "queue critical", "waiting warning"]);
    expect(found.get("waiting warning")).toMatchObject({
      labels: {
        alertname: "SlipwayMonitor",
        namespace: "team",
        monitor: "monitor",
        target: "modeldeployment",
      },
      annotations: { summary: "signal waiting of Monitor team/monitor is in WARNING at 8" },
    });
    queue.set(0);
    await fired(["lost critical"]);
  });
});

test.each([
  ["a mistake", "sum(", { reason: "QueryFailed", message: expect.stringContaining("parse error") }],
  ["several series", 'up or label_replace(up, "a", "b", "", "")', { reason: "ManySeries" }],
  ["none", "absent_metric", { reason: "NoSeries" }],
  ["0 by 0", "vector(0)/vector(0)", { reason: "NoTraffic" }],
])("%s", async (_, text, expected) => {
  expect((await ask({ a: text })).results.a).toMatchObject(expected);
});

test("a token goes nowhere but where it may", async () => {
  const secretRef = { name: "prom", key: "token" };
  await expect(ask({ a: "up" }, { secretRef })).rejects.toMatchObject({
    code: "HostNotAllowed",
    message: expect.not.stringContaining("canary"),
  });
});

test("nobody there", async () => {
  await expect(ask({ a: "up" }, { url: "http://127.0.0.1:1" })).rejects.toMatchObject({
    code: "PrometheusUnreachable",
    retryable: true,
  });
  await expect(ask({ a: "up" }, { url: `${prometheus.url}/elsewhere` })).rejects.toMatchObject({
    code: "PrometheusUnreachable",
  });
});
