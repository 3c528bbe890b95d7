import { describe, expect, test } from "vitest";
import { type Dataset, datasetSpec } from "../../../schemas/dataset.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  readyConditions,
  reconcilingConditions,
  running,
  stalledConditions,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import { decide, type ObservedDataset, type PrepareOutput } from "./decide.ts";

const DIGEST = `sha256:${"1".repeat(64)}`;
const OTHER = `sha256:${"2".repeat(64)}`;
const FILE = { name: "main", files: [{ path: "rows.jsonl", digest: DIGEST }] };

const dataset = (spec: object = {}, metadata: object = {}) =>
  object<Dataset>("Dataset", {
    spec: datasetSpec.parse({ format: "completion", sources: [FILE], ...spec }),
    metadata,
  });
/** A Dataset of another namespace that has published something. */
function upstream(spec: object = {}, namespace = "data"): Dataset {
  const made = dataset(spec, { name: "rows", namespace });
  const artifact = { digest: OTHER, rows: 3, bytes: 9, revision: "r" };
  const status = { artifact, revision: "r".repeat(64), observedGeneration: 1 };
  return { ...made, status: { ...status, conditions: [ready()] } };
}
const ready = () => ({
  type: "Ready",
  status: "True" as const,
  reason: "Prepared",
  message: "",
  lastTransitionTime: "",
});
const output = (more: Partial<PrepareOutput> = {}): PrepareOutput => ({
  artifact: { digest: OTHER, rows: 8, bytes: 100 },
  read: 10,
  splits: [{ name: "train", rows: 8 }],
  steps: [{ name: "dedup", dropped: 2, changed: 1 }],
  piiRows: 0,
  words: 40,
  ...more,
});
const decided = (of: Dataset, more: Partial<ObservedDataset> = {}, now = NOW) =>
  decide(
    {
      dataset: of,
      datasets: new Map(),
      suites: new Map(),
      serviceAccountName: "default",
      fetch: { current: undefined, next: undefined },
      preparation: () => undefined,
      ...more,
    },
    now,
  );

describe("preparing", () => {
  test("is asked for once, with everything that the result depends on", () => {
    const decision = decided(dataset());
    expect(conditionsOf(decision)).toEqual(reconcilingConditions("Preparing"));
    expect(decision.effects).toMatchObject([{ name: "prepare", attempt: 1, durable: true }]);
    const again = decided(dataset(), { preparation: () => running(3) });
    expect(again.effects).toMatchObject([{ attempt: 3, inputDigest: decision.effects[0]?.inputDigest }]);
  });

  test("is not asked for again when only what changes no row does", () => {
    const digestOf = (spec: object) => decided(dataset(spec)).effects[0]?.inputDigest;
    expect(digestOf({ suspend: false, shareWith: ["*"] })).toBe(digestOf({}));
    expect(digestOf({ onBadRow: "Drop" })).not.toBe(digestOf({}));
  });

  test("publishes what came of it, said once", () => {
    const decision = decided(dataset(), { preparation: () => succeeded(output()) });
    expect(conditionsOf(decision)).toEqual([...readyConditions("Prepared"), "GatesPassed=True/GatesPassed"]);
    expect(decision.status).toMatchObject({ artifact: { digest: OTHER, rows: 8 }, read: 10, words: 40 });
    expect(decision.events).toMatchObject([{ reason: "Published" }]);
    const next = decided(written(dataset(), decision), { preparation: () => succeeded(output()) });
    expect(next.events ?? []).toEqual([]);
  });

  test("that misses a gate publishes nothing, and what was published stays", () => {
    const before = written(dataset(), decided(dataset(), { preparation: () => succeeded(output()) }));
    const fault = { gate: "minRows", message: "8 rows are left" };
    const { artifact: _, ...rest } = output({ fault });
    const decision = decided(before, { preparation: () => succeeded(rest) });
    expect(conditionsOf(decision)).toEqual([
      ...stalledConditions("GateFailed"),
      "GatesPassed=False/GateFailed",
    ]);
    expect(decision.status.artifact).toEqual(before.status?.artifact);
  });

  test("that fails waits for a person, or is tried again after a minute", () => {
    const bad = decided(dataset(), { preparation: () => failed("BadRows", false) });
    expect(conditionsOf(bad)).toEqual(stalledConditions("BadRows"));
    const away = { preparation: () => failed("StateUnwritable", true, 2) };
    const waiting = decided(dataset(), away);
    expect(conditionsOf(waiting)).toEqual(reconcilingConditions("StateUnwritable"));
    expect(waiting).toMatchObject({ requeueAfterMs: 60_000, effects: [{ attempt: 2 }] });
    expect(decided(dataset(), away, later(60_000)).effects).toMatchObject([{ attempt: 3 }]);
  });
});

describe("waiting", () => {
  const from = (datasetRef: object) => dataset({ sources: [{ name: "other", datasetRef }] });
  const messageOf = (decision: ReturnType<typeof decided>) => decision.status.conditions?.[0]?.message;

  test("for a Dataset that is missing, or has published nothing", () => {
    expect(conditionsOf(decided(from({ name: "rows" })))).toEqual(reconcilingConditions("DatasetNotFound"));
    const { status: _, ...unready } = upstream({}, "team");
    const decision = decided(from({ name: "rows" }), { datasets: new Map([["rows", unready as Dataset]]) });
    expect(conditionsOf(decision)).toEqual(reconcilingConditions("DatasetNotReady"));
    expect(decision.effects).toEqual([]);
  });

  test("for another namespace to share, which does not say whether there is something to share", () => {
    const ref = from({ name: "rows", namespace: "data" });
    const at = (of: Dataset) => ({ datasets: new Map([["data/rows", of]]) });
    const unshared = decided(ref, at(upstream()));
    expect(conditionsOf(unshared)).toEqual(reconcilingConditions("NotShared"));
    expect(unshared).toEqual(decided(ref));
    expect(messageOf(unshared)).toContain("Dataset data/rows is not shared with the namespace team");
    const shared = decided(ref, at(upstream({ shareWith: ["team"] })));
    expect(conditionsOf(shared)).toEqual(reconcilingConditions("Preparing"));
    expect(shared.effects[0]?.input).toMatchObject({ artifacts: { "data/rows": OTHER } });
  });

  test("keeps what was published when sharing ends", () => {
    const ref = from({ name: "rows", namespace: "data" });
    const shared = { datasets: new Map([["data/rows", upstream({ shareWith: ["*"] })]]) };
    const before = written(ref, decided(ref, { ...shared, preparation: () => succeeded(output()) }));
    expect(decided(before).status.artifact).toEqual(before.status?.artifact);
  });

  test("for a suite whose cases must not be trained on", () => {
    const steps = [{ name: "s", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } }];
    expect(conditionsOf(decided(dataset({ steps })))).toEqual(reconcilingConditions("EvalSuiteNotFound"));
    const suite = { spec: { cases: { inline: [] } } } as unknown as EvalSuite;
    const found = decided(dataset({ steps }), { suites: new Map([["triage", suite]]) });
    expect(found.effects[0]?.input).toMatchObject({ suites: { triage: { inline: [] } } });
  });

  test("for nothing where it is made from itself: that names the way and needs a person", () => {
    const decision = decided(from({ name: "b" }), { cycle: [{ name: "b" }, { name: "dataset" }] });
    expect(conditionsOf(decision)).toEqual(stalledConditions("DatasetCycle"));
    expect(messageOf(decision)).toContain("dataset from b from dataset");
    expect(decision.effects).toEqual([]);
  });

  test("for a file that has no digest", () => {
    const sources = [{ name: "main", files: [{ path: "rows.jsonl" }] }];
    expect(conditionsOf(decided(dataset({ sources })))).toEqual(reconcilingConditions("Unresolved"));
  });
});
