import { expect, test } from "vitest";
import type { Dataset } from "../../../../schemas/dataset.ts";
import { type FineTuneJob, fineTuneJobSpec, fineTuneJobStatus } from "../../../../schemas/fine-tune-job.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  running,
  succeeded,
  written,
} from "../../../../test/kind-objects.ts";
import type { EffectOutcome } from "../../../runtime/kind.ts";
import { decide } from "../decide.ts";

const spec = (more: object = {}) =>
  fineTuneJobSpec.parse({
    backend: "openai",
    baseModel: { source: "gpt-small" },
    datasetRef: { name: "rows" },
    openai: { secretRef: { name: "key" } },
    runPolicy: { onChange: "Auto" },
    ...more,
  });

const dataset = object<Dataset>("Dataset", {
  spec: {} as Dataset["spec"],
  status: {
    observedGeneration: 1,
    artifact: { digest: `sha256:${"d".repeat(64)}`, rows: 3, bytes: 9, revision: "e".repeat(64) },
    conditions: [{ type: "Ready", status: "True", reason: "Prepared", message: "", lastTransitionTime: "" }],
  },
});

class World {
  job: FineTuneJob;
  outcomes = new Map<string, EffectOutcome>();

  constructor(of = spec()) {
    this.job = object<FineTuneJob>("FineTuneJob", { spec: of });
  }

  step(now = NOW) {
    const decision = decide(
      {
        job: this.job,
        dataset,
        suite: undefined,
        prompt: undefined,
        url: undefined,
        account: "default",
        commit: undefined,
        report: () => undefined,
        effect: ({ name, inputDigest }) =>
          this.outcomes.get(name) ?? this.outcomes.get(`${name} ${inputDigest}`),
        work: () => ({ job: undefined, pods: [] }),
      },
      now,
    );
    this.job = written(this.job, decision, now);
    expect(fineTuneJobStatus.safeParse(this.job.status).error).toBeUndefined();
    expect(decision.children).toEqual([]);
    return decision;
  }

  set(name: string, outcome: EffectOutcome) {
    this.outcomes.set(name, outcome);
    return this;
  }

  change(more: object) {
    const { metadata } = this.job;
    const generation = (metadata.generation ?? 1) + 1;
    this.job = { ...this.job, spec: spec(more), metadata: { ...metadata, generation } };
  }
}

const names = (decision: { effects: readonly { name: string; attempt: number }[] }) =>
  decision.effects.map(({ name, attempt }) => `${name} ${attempt}`);
const readiness = (decision: Parameters<typeof conditionsOf>[0]) => conditionsOf(decision)[0];
const JOB = { id: "ftjob-1", status: "running" };

test("it is submitted once, asked about every 30 s, and Ready with the provider's name", () => {
  const world = new World(
    spec({ openai: { secretRef: { name: "key" }, pricePerMillionTrainedTokens: "3" } }),
  );
  const first = world.step();
  expect([readiness(first), names(first), first.effects[0]?.durable]).toEqual([
    "Ready=False/Submitting",
    ["submit 1"],
    true,
  ]);
  world.set("submit", succeeded({ ...JOB, status: "queued" }));
  expect(names(world.step())).toEqual(["submit 1", "poll 1"]);
  world.set("poll", succeeded(JOB));
  const second = world.step();
  expect([readiness(second), names(second), second.requeueAfterMs]).toEqual([
    "Ready=False/Training",
    ["submit 1", "poll 1"],
    30_000,
  ]);
  expect(names(world.step(later(30_000)))).toEqual(["submit 1", "poll 2"]);
  world.set("poll", running(2));
  expect(world.step().status.hosted).toEqual({ id: "ftjob-1", state: "running" });
  world.set(
    "poll",
    succeeded({ id: "ftjob-1", status: "succeeded", model: "ft:small:1", trainedTokens: 2_000_000 }, 2),
  );
  expect(readiness(world.step())).toBe("Ready=True/Trained");
  expect(world.job.status).toMatchObject({
    model: "ft:small:1",
    hosted: { trainedTokens: 2_000_000, cost: "6.0000" },
    training: { state: "Succeeded" },
  });
  // The next process knows nothing of effects, and asks nobody.
  world.outcomes.clear();
  const last = world.step();
  expect([readiness(last), last.effects]).toEqual(["Ready=True/Trained", []]);
});

test("an unknown price is no cost, rather than none", () => {
  const world = new World().set("submit", succeeded(JOB));
  world.set("poll", succeeded({ id: "ftjob-1", status: "succeeded", model: "m", trainedTokens: 5 }));
  world.step();
  expect(world.job.status?.hosted).toEqual({ id: "ftjob-1", state: "succeeded", trainedTokens: 5 });
});

test.each([
  ["failed", "ProviderFailed", "invalid file"],
  ["cancelled", "Cancelled", "ftjob-1"],
])("a job that %s there ends the training", (status, reason, says) => {
  const world = new World().set("submit", succeeded(JOB));
  world.set("poll", succeeded({ id: "ftjob-1", status, error: "invalid file" }));
  expect(readiness(world.step())).toBe(`Ready=False/${reason}`);
  const again = world.step();
  expect([conditionsOf(again)[1], again.effects]).toEqual([`Stalled=True/${reason}`, []]);
  expect(again.status.conditions?.[0]?.message).toContain(says);
});

test("what the key or the network causes is tried again, what the rows cause is not", () => {
  const world = new World().set("submit", failed("ProviderUnauthorized", false));
  const refused = world.step();
  expect([conditionsOf(refused)[1], refused.requeueAfterMs]).toEqual([
    "Stalled=True/ProviderUnauthorized",
    60_000,
  ]);
  expect(names(world.step(later(60_000)))).toEqual(["submit 2"]);
  world.set("submit", failed("BadDataset", false, 2));
  const bad = world.step();
  expect([conditionsOf(bad)[1], bad.effects]).toEqual(["Stalled=True/BadDataset", []]);
  const poll = new World().set("submit", succeeded(JOB)).set("poll", failed("ProviderUnavailable", true));
  expect(readiness(poll.step())).toBe("Ready=False/ProviderUnavailable");
  expect(names(poll.step(later(30_000)))).toEqual(["submit 1", "poll 2"]);
});

test("another training waits until the former is cancelled at the provider", () => {
  const world = new World();
  world.step();
  world.set("submit", succeeded(JOB)).set("poll", succeeded(JOB));
  world.step();
  const former = world.job.status!.training!;
  world.change({ hyperparameters: { epochs: 2 } });
  const cancelling = world.step();
  expect([readiness(cancelling), names(cancelling)]).toEqual(["Ready=False/Cancelling", ["cancel 1"]]);
  expect(world.job.status?.training?.identity).toBe(former.identity);
  world.set("cancel", succeeded({ cancelled: 1 }));
  world.outcomes.delete("submit");
  const next = world.step();
  expect([readiness(next), names(next)]).toEqual(["Ready=False/Submitting", ["submit 1"]]);
  expect(world.job.status?.training?.identity).not.toBe(former.identity);
});

test("by Manual a change is not submitted under the name of what was started, nor does it touch what runs", () => {
  const runPolicy = { onChange: "Manual" };
  const changed = { runPolicy, hyperparameters: { epochs: 2 } };
  const refused = new World(spec({ runPolicy }));
  refused.step();
  const former = refused.job.status!.training!;
  refused.set("submit", failed("ProviderUnauthorized", false));
  refused.step();
  refused.change(changed);
  // Another one, but what the provider may have of the former is cancelled before.
  expect(names(refused.step())).toEqual(["cancel 1"]);
  refused.set("cancel", succeeded({ cancelled: 0 }));
  refused.outcomes.delete("submit");
  expect(names(refused.step())).toEqual(["submit 1"]);
  expect(refused.job.status?.training?.identity).not.toBe(former.identity);

  // What is being submitted, or was a moment ago, is not another one's.
  for (const outcome of [running(), succeeded(JOB)]) {
    const world = new World(spec({ runPolicy }));
    world.step();
    world.set("submit", outcome).change(changed);
    expect(names(world.step())).toContain("submit 1");
    expect(world.job.status?.training?.identity).toBe(former.identity);
  }

  const started = new World(spec({ runPolicy })).set("submit", succeeded(JOB)).set("poll", succeeded(JOB));
  started.step();
  started.change(changed);
  const left = started.step();
  expect([names(left), conditionsOf(left).at(-1)]).toEqual([
    ["submit 1", "poll 1"],
    "UpToDate=False/Changed",
  ]);
  expect(started.job.status?.training?.identity).toBe(former.identity);
  // Also where the state folder with the log of effects was lost.
  started.outcomes.clear();
  expect(names(started.step())).toEqual(["submit 1"]);
  expect(started.job.status?.training?.identity).toBe(former.identity);
});

test("suspend pauses the job, and its end resumes it", () => {
  const world = new World().set("submit", succeeded(JOB)).set("poll", succeeded(JOB));
  world.step();
  world.change({ suspend: true });
  const pausing = world.step();
  expect([readiness(pausing), names(pausing)]).toEqual([
    "Ready=Unknown/Suspended",
    ["submit 1", "poll 1", "pause 1"],
  ]);
  world.set("pause", succeeded(JOB));
  expect(world.step().status.hosted).toMatchObject({ paused: true });
  expect(names(world.step())).toEqual(["submit 1", "poll 1"]);
  world.change({});
  expect(names(world.step())).toEqual(["submit 1", "poll 1", "resume 1"]);
  world.set("resume", succeeded(JOB));
  expect(world.step().status.hosted).toEqual({ id: "ftjob-1", state: "running" });
  const refused = new World().set("submit", succeeded(JOB)).set("poll", succeeded(JOB));
  refused.step();
  refused.change({ suspend: true });
  refused.set("pause", failed("ProviderRejected", false));
  expect(refused.step().status.conditions?.[0]?.message).toContain("goes on");
});

test.each([
  [1, "another job, for the former was cancelled", 2],
  [0, "the same job, for it was over before it could be cancelled", 1],
])("with %i jobs cancelled a spec that comes back is %s", (cancelled, _, attempt) => {
  const world = new World();
  // As in the log of intents, each input has an outcome of its own.
  const { outcomes } = world;
  const input = () => world.step().effects.map(({ name, inputDigest }) => `${name} ${inputDigest}`)[0]!;
  const first = input();
  outcomes.set(first, succeeded(JOB));
  world.step();
  world.change({ hyperparameters: { epochs: 2 } });
  outcomes.set(input(), succeeded({ cancelled }));
  outcomes.set(input(), succeeded({ ...JOB, id: "ftjob-2" }));
  world.step();
  world.change({});
  const cancelling = input();
  expect(cancelling).toMatch(/^cancel /);
  outcomes.set(cancelling, succeeded({ cancelled: 1 }));
  const again = input();
  expect(again).toMatch(/^submit /);
  expect(again === first).toBe(attempt === 1);
  expect(world.job.status?.training?.attempt).toBe(attempt);
  expect(input()).toBe(again);
});
