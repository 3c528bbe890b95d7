import { describe, expect, test } from "vitest";
import { type Monitor, monitorSpec } from "../../../../schemas/monitor.ts";
import { failed, later, NOW, object, running, succeeded } from "../../../../test/kind-objects.ts";
import { probeConfig, probeReading, probeRequest, type Sample, statisticOf } from "./probe.ts";

const target = { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s" };
const monitorOf = (measure: string, probe: object = {}, statistic = "p95") =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      probe: { window: "10m", minRequests: 1, ...probe },
      signals: [{ name: "a", type: "Probe", probe: { measure, statistic }, thresholds: { alert: 1 } }],
    }),
  });
const minutesAgo = (minutes: number, latencyMs?: number): Sample => ({
  at: NOW.getTime() - minutes * 60_000,
  ...(latencyMs === undefined ? { error: "ModelTimeout" } : { latencyMs }),
});
const read = (monitor: Monitor, samples: Sample[]) =>
  probeReading(monitor, monitor.spec.signals[0]!.probe!, succeeded({ samples }), NOW);

test.each([
  ["mean", 40],
  ["p50", 30],
  ["p95", 100],
  ["max", 100],
] as const)("%s", (statistic, expected) => {
  expect(statisticOf([10, 100, 20, 30, 40], statistic)).toBe(expected);
});

describe("readings", () => {
  test("latency is that of the answered requests in the window", () => {
    const samples = [minutesAgo(11, 9_000), minutesAgo(9, 100), minutesAgo(5), minutesAgo(1, 200)];
    expect(read(monitorOf("latency"), samples)).toEqual({ kind: "value", value: 200 });
    expect(read(monitorOf("latency", {}, "mean"), samples)).toEqual({ kind: "value", value: 150 });
  });

  test("availability is the share that was answered", () => {
    const samples = [minutesAgo(11), minutesAgo(9, 1), minutesAgo(5), minutesAgo(2, 1), minutesAgo(1, 1)];
    expect(read(monitorOf("availability"), samples)).toEqual({ kind: "value", value: 0.75 });
  });

  test("nothing was answered: no latency, and why", () => {
    expect(read(monitorOf("latency"), [minutesAgo(1)])).toMatchObject({
      kind: "none",
      reason: "ModelTimeout",
    });
  });

  test("an endpoint that does not stream has no first token", () => {
    expect(read(monitorOf("timeToFirstToken"), [minutesAgo(1, 5)])).toMatchObject({ reason: "NotStreamed" });
    expect(
      read(monitorOf("timeToFirstToken"), [{ at: NOW.getTime(), latencyMs: 9, timeToFirstTokenMs: 4 }]),
    ).toEqual({ kind: "value", value: 4 });
  });

  test("too few requests say nothing yet", () => {
    const few = monitorOf("availability", { minRequests: 2 });
    expect(read(few, [minutesAgo(1)])).toEqual({ kind: "unknown" });
    expect(read(few, [minutesAgo(2, 1), minutesAgo(1)])).toEqual({ kind: "value", value: 0.5 });
  });

  test.each([
    ["before the first", undefined, { kind: "unknown" }],
    ["while asking", running(), { kind: "unknown" }],
    ["the probe itself failed", failed("ServiceUnavailable", true), { kind: "none" }],
    [
      "nothing may be asked",
      succeeded({ samples: [], failure: { reason: "SecretNotBound", message: "no" } }),
      { kind: "none", reason: "SecretNotBound" },
    ],
  ])("%s", (_, outcome, expected) => {
    const monitor = monitorOf("latency");
    expect(probeReading(monitor, monitor.spec.signals[0]!.probe!, outcome, NOW)).toMatchObject(expected);
  });
});

describe("requests", () => {
  test("the window goes from attempt to attempt, without what is too old and bounded", () => {
    const monitor = monitorOf("latency");
    const config = probeConfig(monitor, target, "team")!;
    const samples = [minutesAgo(11, 1), ...Array.from({ length: 1_500 }, () => minutesAgo(1, 2))];
    const request = probeRequest(monitor, config, 2, succeeded({ samples }), NOW);
    const next = (request.input as unknown as { samples: Sample[] }).samples;
    expect(next).toHaveLength(999);
    expect(next.every(({ latencyMs }) => latencyMs === 2)).toBe(true);
    // The window is no part of what the request is.
    expect(request.inputDigest).toBe(probeRequest(monitor, config, 1, undefined, later(5)).inputDigest);
  });

  test("streams only where a signal needs the first token", () => {
    expect(probeConfig(monitorOf("latency"), target, "t")).toMatchObject({ stream: false, maxTokens: 8 });
    expect(
      probeConfig(monitorOf("timeToFirstToken", { maxTokens: 9, prompt: "Hi" }), target, "t"),
    ).toMatchObject({ stream: true, maxTokens: 9, prompt: "Hi" });
  });
});
