import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import { type Monitor, type MonitorStatus, monitorSpec, monitorStatus } from "../../../../schemas/monitor.ts";
import { later, NOW, object } from "../../../../test/kind-objects.ts";
import { servedRevisions, servedStatus } from "./served.ts";

const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const MINUTE = 60_000;

const monitorOf = (status: MonitorStatus = {}, settings: object = {}, signal: object = { metric: "queue" }) =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      prometheus: { url: "http://prometheus:9090/", ...settings },
      signals: [{ name: "a", type: "Prometheus", prometheus: signal, thresholds: { alert: 1 } }],
    }),
    status,
  });
const serving = (active?: string) =>
  object<ModelDeployment>("ModelDeployment", {
    spec: { type: "InCluster" },
    status: active === undefined ? {} : { active },
  });
/** What counts and what is remembered as one revision after the other gets the traffic, a minute each. */
const story = (...actives: readonly string[]) => {
  let status: MonitorStatus = {};
  return actives.map((active, minute) => {
    const counts = servedRevisions(monitorOf(status), serving(active));
    status = servedStatus(monitorOf(status), serving(active), later(minute * MINUTE));
    expect(monitorStatus.parse(status)).toEqual(status);
    // Writing it adds none: otherwise the query would be asked twice, and the first time without half of it.
    const after = servedRevisions(monitorOf(status), serving(active));
    expect(counts.slice(0, after.length)).toEqual(after);
    return { counts, served: status.served?.map(({ revision }) => revision) };
  });
};

describe("a revision counts", () => {
  test("while it serves, and for a window after that", () => {
    const counted = story(A, B, B, B, B, B, B, B).map(({ counts }) => counts);
    expect(counted).toEqual([[A], [B, A], [B, A], [B, A], [B, A], [B, A], [B, A], [B]]);
  });

  test("once, also when it is back", () => {
    expect(story(A, B, A).map(({ served }) => served)).toEqual([[A], [B, A], [A, B]]);
  });

  test("one after the other, each from when it lost the traffic", () => {
    expect(
      story(A, B, B, B, C, C, C, C).map(({ served }) => served?.join("").replace(/(.)\1+/g, "$1")),
    ).toEqual(["a", "ba", "ba", "ba", "cba", "cba", "cb", "cb"]);
  });
});

test("is written at a switch alone", () => {
  const { served } = servedStatus(monitorOf(), serving(A), NOW);
  expect(served).toEqual([{ revision: A, since: "2030-01-01T00:00:00Z" }]);
  expect(servedStatus(monitorOf({ served: served! }), serving(A), later(600 * MINUTE))).toEqual({ served });
});

test.each([
  ["what somebody else serves", monitorOf(), serving()],
  ["series that are told by labels", monitorOf({}, { matchLabels: { job: "llm" } }), serving(A)],
  ["a query of one's own", monitorOf({}, {}, { query: "up" }), serving(A)],
])("of %s nothing is remembered", (_, monitor, target) => {
  expect(servedStatus(monitor, target, NOW)).toEqual({});
});
