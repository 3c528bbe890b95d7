import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { query } from "../../../controller/kinds/monitor/effects/query.ts";
import { presetQuery } from "../../../controller/kinds/monitor/signals/presets.ts";
import type { QueryInput, QueryOutput } from "../../../controller/kinds/monitor/signals/prometheus.ts";
import type { SecretReader } from "../../../controller/kube/secrets.ts";
import type { EffectContext } from "../../../controller/runtime/kind.ts";
import { PROMETHEUS_METRICS, PROMETHEUS_RUNTIMES } from "../../../schemas/monitor.ts";
import { type MonitoringServer, startPrometheus } from "../../monitoring/servers.ts";
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
  prometheus = await startPrometheus([{ job: "llm", host: `127.0.0.1:${port}`, labels: { zone: "a" } }]);
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
