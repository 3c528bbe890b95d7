import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { type Monitor, monitorSpec } from "../../../schemas/monitor.ts";
import {
  conditionsOf,
  later,
  NOW,
  object,
  readyConditions,
  reconcilingConditions,
  running,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import { sameStatus, statusOf } from "../../runtime/status.ts";
import { nextAttempt } from "./attempts.ts";
import { camelCase } from "./conditions.ts";
import { decide, type ObservedMonitor } from "./decide.ts";

const target = object<ModelDeployment>("ModelDeployment", {
  spec: {
    type: "External",
    external: { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s", maxConcurrency: 8 },
  },
});
const monitor = (changes: object = {}) =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      probe: { minRequests: 1 },
      signals: [
        { name: "p95-latency", type: "Probe", probe: { measure: "latency" }, thresholds: { alert: 100 } },
        {
          name: "up",
          type: "Probe",
          probe: { measure: "availability" },
          thresholds: { operator: "Below", warning: 0.9 },
        },
      ],
      ...changes,
    }),
  });
const sample = (latencyMs: number | undefined, at = NOW) => ({
  at: at.getTime(),
  ...(latencyMs === undefined ? { error: "ModelUnavailable" } : { latencyMs }),
});
const probed = (...samples: object[]) => succeeded({ samples });
const look = (probe: ObservedMonitor["probe"], of = monitor(), now = NOW, on = target) =>
  decide(
    {
      monitor: of,
      target: on,
      serviceAccountName: "team",
      probe,
      query: undefined,
      actions: new Map(),
      replays: new Map(),
      runs: [],
      named: new Map(),
    },
    now,
  );

describe("conditions", () => {
  test.each([
    ["without its target", { target: undefined }, reconcilingConditions("TargetNotFound")],
    [
      "with a target that has no endpoint",
      { target: { ...target, spec: { type: "External" } } as ModelDeployment },
      reconcilingConditions("TargetNotReady"),
    ],
  ])("%s nothing is measured", (_, changes, expected) => {
    const decision = decide(
      {
        monitor: monitor(),
        serviceAccountName: "t",
        probe: undefined,
        query: undefined,
        actions: new Map(),
        replays: new Map(),
        runs: [],
        named: new Map(),
        target,
        ...(changes as object),
      },
      NOW,
    );
    expect(conditionsOf(decision)).toEqual(expected);
    expect(decision.effects).toEqual([]);
  });

  test.each([
    [
      "before the first reading",
      undefined,
      [
        ...reconcilingConditions("Measuring"),
        "Alerting=False/NoAlert",
        "TelemetryAvailable=Unknown/Measuring",
      ],
    ],
    [
      "all is well",
      probed(sample(50)),
      [...readyConditions("Watching"), "Alerting=False/NoAlert", "TelemetryAvailable=True/Measured"],
    ],
    [
      "too slow: the reason names the signal, and watching goes on as asked",
      probed(sample(500)),
      [...readyConditions("Watching"), "Alerting=True/P95Latency", "TelemetryAvailable=True/Measured"],
    ],
    [
      "a warning alone is no alert",
      probed(sample(50), sample(undefined)),
      [...readyConditions("Watching"), "Alerting=False/OnlyWarnings", "TelemetryAvailable=True/Measured"],
    ],
    [
      "nothing answered: no latency",
      probed(sample(undefined)),
      [...readyConditions("Watching"), "Alerting=False/OnlyWarnings", "TelemetryAvailable=False/NoReadings"],
    ],
  ])("%s", (_, probe, expected) => {
    expect(conditionsOf(look(probe))).toEqual(expected);
  });
});

test("the status has the worst state, its time, the figures and the history", () => {
  const first = look(probed(sample(50)));
  expect(first.status).toMatchObject({ state: "OK", summary: "2/2", since: "2030-01-01T00:00:00Z" });
  const slow = look(probed(sample(50), sample(500)), written(monitor(), first), later(60_000));
  expect(slow.status).toMatchObject({
    state: "ALERT",
    summary: "1/2",
    since: "2030-01-01T00:01:00Z",
    signals: [
      { name: "p95-latency", state: "ALERT", value: "500", since: "2030-01-01T00:01:00Z" },
      { name: "up", state: "OK", value: "1", since: "2030-01-01T00:00:00Z" },
    ],
  });
  expect(slow.status.history?.map(({ id, signal, from, to }) => [id, signal, from, to])).toEqual([
    [3, "p95-latency", "OK", "ALERT"],
    [2, "up", undefined, "OK"],
    [1, "p95-latency", undefined, "OK"],
  ]);
  expect(slow.events).toEqual([
    { type: "Warning", reason: "SignalAlert", note: "signal p95-latency went from OK to ALERT at 500" },
  ]);
});

test("the history is bounded", () => {
  let of = monitor();
  for (let minute = 0; minute < 30; minute++) {
    const now = later(minute * 60_000);
    of = written(of, look(probed(sample(minute % 2 ? 50 : 500, now)), of, now), now);
  }
  expect(of.status?.history).toHaveLength(20);
  expect(of.status?.history?.[0]?.id).toBe(31);
});

describe("quiet", () => {
  test("a minute later, while asking and after a restart nothing is written", () => {
    const before = written(monitor(), look(probed(sample(50), sample(70))));
    for (const probe of [running(2), probed(sample(50), sample(70), sample(71)), undefined]) {
      const again = look(probe, before, later(60_000));
      expect(again.events).toEqual([]);
      expect(
        sameStatus(statusOf(written(before, again, later(60_000)) as never), statusOf(before as never)),
      ).toBe(true);
    }
  });
});

test("a signal that is gone from the spec is gone from the status", () => {
  const before = written(monitor(), look(probed(sample(50))));
  const fewer = { ...before, spec: { ...before.spec, signals: before.spec.signals.slice(1) } };
  expect(look(probed(sample(50)), fewer).status.signals?.map(({ name }) => name)).toEqual(["up"]);
});

test("what is known stays while the target is away", () => {
  const before = written(monitor(), look(probed(sample(500))));
  const away = decide(
    {
      monitor: before,
      target: undefined,
      serviceAccountName: "t",
      probe: undefined,
      query: undefined,
      actions: new Map(),
      replays: new Map(),
      runs: [],
      named: new Map(),
    },
    NOW,
  );
  expect(away.status).toMatchObject({ state: "ALERT", signals: before.status?.signals });
});

describe("when another revision takes over", () => {
  const revisions = ["a", "b"].map((digit) => digit.repeat(64)) as [string, string];
  const serving = (active: string) =>
    ({
      ...target,
      spec: { type: "InCluster", inCluster: { runtime: "VLLM" } },
      status: { active, endpoint: { url: "http://m.team.svc/v1", model: "m" } },
    }) as unknown as ModelDeployment;
  const watching = monitor({
    prometheus: { url: "http://prometheus:9090" },
    signals: [{ name: "a", type: "Prometheus", prometheus: { metric: "queue" }, thresholds: { alert: 1 } }],
    actions: [{ name: "rule", type: "PrometheusRule", prometheusRule: {} }],
  });
  const before = written(watching, look(undefined, watching, NOW, serving(revisions[0])));
  const asked = ({ effects }: ReturnType<typeof decide>) =>
    effects.map(({ name, inputDigest }) => `${name} ${inputDigest}`);

  test("query and rule are of both, from the first look on; the revision of the Monitor is the same", () => {
    const first = look(undefined, before, later(1_000), serving(revisions[1]));
    expect(first.status.served?.map(({ revision }) => revision)).toEqual(revisions.toReversed());
    expect(first.effects.map(({ name }) => name)).toEqual(["query", "prometheusRule"]);
    const second = look(undefined, written(before, first), later(2_000), serving(revisions[1]));
    expect(asked(second)).toEqual(asked(first));
    expect(asked(first)).not.toEqual(asked(look(undefined, before, NOW, serving(revisions[0]))));
    expect(first.status.revision).toBe(before.status?.revision);
  });

  test("and is remembered while the target is away", () => {
    expect(look(undefined, before, NOW, { ...target, spec: { type: "InCluster" } }).status.served).toEqual(
      before.status?.served,
    );
  });
});

test("asks once an interval, from start to start, and at once when somebody asks", () => {
  const outcome = { ...probed(sample(50)), startedAt: NOW.getTime() - 10_000 };
  expect(nextAttempt(outcome, 60_000, false, NOW)).toEqual({ attempt: 1, waitMs: 50_000 });
  expect(nextAttempt(outcome, 60_000, false, later(50_000))).toEqual({ attempt: 2, waitMs: 60_000 });
  expect(nextAttempt(outcome, 60_000, true, NOW)).toMatchObject({ attempt: 2 });
  expect(nextAttempt(running(4), 60_000, true, NOW)).toMatchObject({ attempt: 4 });
  const quiet = written(monitor(), look(probed(sample(50))));
  const annotations = { "slipway.dev/requestedAt": "now" };
  const asked = { ...quiet, metadata: { ...quiet.metadata, annotations } };
  expect(look(probed(sample(50)), asked).effects[0]?.attempt).toBe(2);
  expect(look(probed(sample(50)), quiet)).toMatchObject({
    effects: [{ attempt: 1 }],
    requeueAfterMs: 59_000,
  });
});

test("the revision follows what is watched, not how often", () => {
  const revision = (changes: object) => look(undefined, monitor(changes)).status.revision;
  expect(revision({})).toMatch(/^[0-9a-f]{64}$/);
  expect(revision({ interval: "5s", description: "ours" })).toBe(revision({}));
  expect(revision({ probe: { prompt: "Hi" } })).not.toBe(revision({}));
});

test.each([
  ["latency", "Latency"],
  ["p95-latency", "P95Latency"],
  ["5xx.rate", "Signal5xxRate"],
])("%s as a reason is %s", (name, reason) => expect(camelCase(name)).toBe(reason));
