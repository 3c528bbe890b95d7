import { expect, test } from "vitest";
import { Metrics } from "./metrics.ts";

const lines = async (metrics: Metrics, name: string) =>
  (await metrics.text()).split("\n").filter((line) => line.startsWith(name));

test("counts requests by verb, kind and code; a watch has no duration", async () => {
  const metrics = new Metrics({ processMetrics: false });
  metrics.observeRequest({ verb: "apply", kind: "ConfigMap", code: 200, durationMs: 20 });
  metrics.observeRequest({ verb: "apply", kind: "ConfigMap", code: 409, durationMs: 20 });
  metrics.observeRequest({ verb: "watch", kind: "ConfigMap", code: 200, durationMs: 300_000 });
  expect(await lines(metrics, "slipway_kube_requests_total")).toEqual([
    'slipway_kube_requests_total{verb="apply",kind="ConfigMap",code="200"} 1',
    'slipway_kube_requests_total{verb="apply",kind="ConfigMap",code="409"} 1',
    'slipway_kube_requests_total{verb="watch",kind="ConfigMap",code="200"} 1',
  ]);
  expect(await lines(metrics, "slipway_kube_request_duration_seconds_count")).toEqual([
    'slipway_kube_request_duration_seconds_count{verb="apply"} 2',
  ]);
});

test("reads queues, effects, readiness and the lease when it is read itself", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const kinds = ["Toy", "Gone"];
  metrics.observe({
    queues: () => [{ name: "Toy", depth: 3 }],
    effectsRunning: () => 2,
    readiness: () => kinds.map((kind) => ({ kind, status: "True" as const, count: 5 })),
    leading: () => true,
  });
  expect(await lines(metrics, "slipway_queue_depth")).toEqual(['slipway_queue_depth{kind="Toy"} 3']);
  expect(await lines(metrics, "slipway_effects_running")).toEqual(["slipway_effects_running 2"]);
  expect(await lines(metrics, "slipway_leader")).toEqual(["slipway_leader 1"]);
  kinds.pop();
  expect(await lines(metrics, "slipway_resource_ready")).toEqual([
    'slipway_resource_ready{kind="Toy",status="True"} 5',
  ]);
});

test("has the process's own metrics unless told otherwise", async () => {
  expect(await lines(new Metrics(), "process_resident_memory_bytes")).toHaveLength(1);
});
