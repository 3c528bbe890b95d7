import { expect, test } from "vitest";
import { type Dataset, datasetSpec } from "../../../schemas/dataset.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  running,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import type { EffectOutcome } from "../../runtime/kind.ts";
import { decide } from "./decide.ts";
import { fetchDigest, roundOf } from "./resolution.ts";

const URL_SOURCE = { name: "hub", url: "hf://datasets/team/rows@main" };
const rows = (spec: object = {}, metadata: object = {}) =>
  object<Dataset>("Dataset", {
    spec: datasetSpec.parse({ format: "completion", sources: [URL_SOURCE], ...spec }),
    metadata,
  });
const digest = (fill: string) => `sha256:${fill.repeat(64)}`;
const fetched = (fill: string) => ({
  sources: [
    {
      name: "hub",
      resolved: `hf://datasets/team/rows@${fill.repeat(40)}`,
      files: [{ path: "a.jsonl", digest: digest(fill), bytes: 7 }],
    },
  ],
});
const prepared = {
  artifact: { digest: digest("f"), rows: 1, bytes: 9 },
  read: 1,
  splits: [{ name: "train", rows: 1 }],
  steps: [],
  piiRows: 0,
  words: 2,
};

interface Seen {
  current?: EffectOutcome;
  next?: EffectOutcome;
  preparation?: EffectOutcome;
}
function decided(dataset: Dataset, { current, next, preparation }: Seen, now = NOW) {
  const observed = {
    dataset,
    datasets: new Map(),
    suites: new Map(),
    serviceAccountName: "tenant",
    fetch: { current, next },
    preparation: () => preparation,
  };
  return decide(observed, now);
}
const effects = (decision: ReturnType<typeof decided>) =>
  decision.effects.map(({ name, attempt }) => `${name}#${attempt}`);

test("urls are read before anything is prepared, as the tenant, and what was read is what is prepared", () => {
  const asked = decided(rows(), {});
  expect(effects(asked)).toEqual(["fetch#1"]);
  expect(asked.effects[0]?.input).toMatchObject({ serviceAccountName: "tenant", sources: [URL_SOURCE] });
  expect(conditionsOf(asked)[0]).toBe("Ready=False/ResolvingSources");
  const preparing = decided(rows(), { current: succeeded(fetched("a")) });
  expect(effects(preparing)).toEqual(["fetch#1", "prepare#1"]);
  expect(preparing.effects[1]?.input).toMatchObject({ fetched: fetched("a").sources });
  expect(preparing.status.resolution).toMatchObject({
    round: 0,
    sources: [{ name: "hub", resolved: `hf://datasets/team/rows@${"a".repeat(40)}`, files: 1, bytes: 7 }],
  });
  const done = decided(rows(), { current: succeeded(fetched("a")), preparation: succeeded(prepared) });
  expect(conditionsOf(done)).toEqual([
    "Ready=True/Prepared",
    "GatesPassed=True/GatesPassed",
    "SourcesResolved=True/Resolved",
  ]);
});

test("other content is another input; where Secrets come from is not", () => {
  const digestOf = (dataset: Dataset, fill: string) =>
    decided(dataset, { current: succeeded(fetched(fill)) }).effects[1]?.inputDigest;
  expect(digestOf(rows(), "a")).not.toBe(digestOf(rows(), "b"));
  const secret = rows({ sources: [{ ...URL_SOURCE, secretRef: { name: "hub" } }], refresh: "1h" });
  expect(digestOf(secret, "a")).toBe(digestOf(rows(), "a"));
});

test("a generation, a request and a round are each another look", () => {
  const looks = [
    fetchDigest(rows(), 0),
    fetchDigest(rows(), 1),
    fetchDigest(rows({}, { generation: 2 }), 0),
    fetchDigest(rows({}, { annotations: { "slipway.dev/requestedAt": "now" } }), 0),
  ];
  expect(new Set(looks).size).toBe(4);
  expect(fetchDigest(rows(), 0)).toBe(looks[0]);
});

test("what cannot be read is said; what may pass is tried again", () => {
  const gone = decided(rows(), { current: failed("SourceNotFound", false) });
  expect(conditionsOf(gone)).toEqual(["Ready=False/SourceNotFound", "Stalled=True/SourceNotFound"]);
  expect(effects(gone)).toEqual(["fetch#1"]);
  const away = decided(rows(), { current: failed("SourceUnavailable", true) });
  expect(conditionsOf(away)[0]).toBe("Ready=False/SourceUnavailable");
  expect(away.requeueAfterMs).toBe(60_000);
  expect(effects(decided(rows(), { current: failed("SourceUnavailable", true) }, later(60_000)))).toEqual([
    "fetch#2",
  ]);
});

test("refresh looks again; a source that is away takes nothing away", () => {
  const dataset = rows({ refresh: "1h" });
  const seen = { current: succeeded(fetched("a")), preparation: succeeded(prepared) };
  expect(decided(dataset, seen).requeueAfterMs).toBe(3_600_000);
  const due = decided(dataset, seen, later(3_600_000));
  expect(due.effects[0]?.inputDigest).toBe(fetchDigest(dataset, 1));
  expect(conditionsOf(due)[0]).toBe("Ready=True/Prepared");
  expect(conditionsOf(decided(dataset, { ...seen, next: running() }))[0]).toBe("Ready=True/Prepared");
  expect(conditionsOf(decided(dataset, { ...seen, next: failed("SourceNotFound", false) }))).toEqual([
    "Ready=True/Prepared",
    "GatesPassed=True/GatesPassed",
    "SourcesResolved=False/SourceNotFound",
  ]);
  const moved = decided(dataset, { current: succeeded(fetched("a")), next: succeeded(fetched("b")) });
  expect(moved.status.resolution).toMatchObject({ round: 1 });
  expect(moved.effects[1]?.input).toMatchObject({ fetched: fetched("b").sources });
  expect(roundOf(written(dataset, moved))).toBe(1);
});
