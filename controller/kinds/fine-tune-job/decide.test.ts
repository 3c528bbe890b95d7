import { describe, expect, test } from "vitest";
import type { Dataset } from "../../../schemas/dataset.ts";
import {
  ARTIFACT,
  CHECKPOINT,
  message,
  ROWS,
  ready,
  result,
  rows,
  spec,
  terminated,
  trained,
  World,
} from "../../../test/fine-tune-world.ts";
import { conditionsOf, failed as effectFailed, later, succeeded } from "../../../test/kind-objects.ts";
import { inputOf } from "./training.ts";

describe("a training", () => {
  test("learns another namespace's Dataset only where it is shared, and does not say whether it exists", () => {
    const world = new World(spec({ datasetRef: { name: "rows", namespace: "data" } }));
    const elsewhere = (shareWith?: string[]): Dataset => ({
      ...rows(),
      metadata: { name: "rows", namespace: "data", generation: 1 },
      spec: { ...(shareWith ? { shareWith } : {}) } as Dataset["spec"],
    });
    world.dataset = elsewhere();
    const unshared = world.decide().status.conditions;
    expect(ready(world)).toContain("Ready=False/NotShared");
    world.dataset = undefined;
    expect(world.decide().status.conditions).toEqual(unshared);
    world.dataset = elsewhere(["team"]);
    expect(world.step().children.map(({ kind }) => kind)).toEqual(["ConfigMap", "Job"]);
  });

  test("waits for its Dataset, then for its Secrets, and is one Job", () => {
    const world = new World();
    world.dataset = undefined;
    expect(ready(world)).toEqual(["Ready=False/DatasetNotFound", "Reconciling=True/DatasetNotFound"]);
    world.dataset = { ...rows(), metadata: { name: "rows", generation: 2 } };
    expect(ready(world)).toContain("Ready=False/DatasetNotReady");
    world.dataset = rows();
    world.admission = undefined;
    expect(ready(world)).toContain("Ready=False/Starting");
    expect(world.live.size).toBe(0);
    world.admission = succeeded({});
    expect(world.step().children.map(({ kind }) => kind)).toEqual(["ConfigMap", "Job"]);
    const { job } = world.onlyJob;
    // Made once, and then left alone.
    expect(world.step().children.map(({ kind }) => kind)).toEqual(["ConfigMap"]);
    expect(world.onlyJob.job).toBe(job);
    expect(world.training).toMatchObject({
      attempt: 1,
      dataset: ROWS,
      commit: "f".repeat(40),
      state: "Running",
    });
  });

  test("shows how far it is, and what it made once that was looked at", () => {
    const world = new World();
    world.step();
    const lossHistory = Array.from({ length: 200 }, (_, step) => [step, 1]);
    world.say({
      state: "Running",
      progress: {
        phase: "Training",
        step: 3,
        totalSteps: 30,
        percent: 10,
        etaSeconds: 60,
        loss: 2.5,
        lossHistory,
      } as never,
    });
    world.pod({ phase: "Running" });
    expect(ready(world)).toEqual(["Ready=False/Training", "Reconciling=True/Training"]);
    expect(message(world)).toBe("Training: step 3 of 30 (10 %, about 60 s left) in pod trainer-1");
    expect(world.job.status?.progress).toMatchObject({ percent: 10, loss: 2.5, etaSeconds: 60 });
    expect(world.job.status?.progress?.lossHistory).toHaveLength(50);
    world.say({ state: "Succeeded", result });
    world.verification = undefined;
    expect(ready(world)).toContain("Ready=False/Verifying");
    expect(world.job.status?.artifact).toBeUndefined();
    world.verification = succeeded({});
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    expect(world.job.status).toMatchObject({
      artifact: { digest: ARTIFACT, type: "adapter", bytes: 10, revision: world.training.revision },
      base: { resolved: "hf:org/small@abc" },
      metrics: { firstLoss: 4, lastLoss: 1.5 },
      progress: { percent: 100, loss: 1.5 },
    });
  });

  test("says its adapter's rank, also of one made before ranks were read, and while it is looked at again", () => {
    const world = trained();
    expect(world.job.status?.artifact).not.toHaveProperty("rank");
    world.verification = succeeded({ files: 2, rank: 64 });
    world.step();
    expect(world.job.status?.artifact).toMatchObject({ digest: ARTIFACT, rank: 64 });
    world.verification = undefined;
    world.step();
    expect(world.job.status?.artifact?.rank).toBe(64);
    // The report is gone with the state folder.
    world.reports.clear();
    world.step();
    expect(world.job.status?.artifact?.rank).toBe(64);
  });

  test("is not Ready when what it says it stored is not there, and is trained again when asked", () => {
    const world = new World();
    world.step();
    world.say({ state: "Succeeded", result });
    world.verification = effectFailed("ArtifactMissing", false);
    expect(ready(world)).toEqual(["Ready=False/ArtifactMissing", "Stalled=True/ArtifactMissing"]);
    world.ask("now");
    world.step();
    expect(world.training).toMatchObject({ attempt: 2, state: "Running" });
  });

  test("is over once: nothing is trained again after the Job, or its report, is gone", () => {
    const world = trained();
    world.live.clear();
    expect(world.step().children).toEqual([]);
    world.reports.clear();
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    world.ask("again");
    world.step();
    expect(world.training.attempt).toBe(1);
    expect(world.live.size).toBe(0);
  });

  test("that is suspended is cancelled, and goes on with the same work", () => {
    const world = new World();
    world.step();
    const name = world.training.job;
    const input = inputOf(world.training);
    world.change({ suspend: true });
    expect(ready(world)).toEqual(["Ready=Unknown/Suspended"]);
    expect(world.live.size).toBe(0);
    world.change({});
    world.step();
    expect([world.training.job, inputOf(world.training)]).toEqual([name, input]);
    expect(world.live.size).toBe(1);
  });

  test("does not start while suspended, or while pods cannot reach the controller", () => {
    const world = new World(spec({ suspend: true }));
    expect(ready(world)).toEqual(["Ready=Unknown/Suspended"]);
    world.change({});
    world.url = undefined;
    expect(ready(world)).toEqual(["Ready=False/NoWorkUrl", "Stalled=True/NoWorkUrl"]);
    expect(world.live.size).toBe(0);
  });

  test("does not start while a Secret is missing; that is asked again after a minute", () => {
    const world = new World();
    world.admission = effectFailed("SecretNotFound", false);
    const first = world.step();
    expect(conditionsOf(first)).toContain("Stalled=True/SecretNotFound");
    expect(first).toMatchObject({ requeueAfterMs: 60_000, effects: [{ attempt: 1 }] });
    expect(world.decide(later(60_000)).effects).toMatchObject([{ attempt: 2 }]);
    expect(world.live.size).toBe(0);
  });
});

describe("a change", () => {
  const changed = { hyperparameters: { epochs: 2 } };

  test.each(["Running", "Succeeded"])("does nothing to a training that is %s, until asked", (state) => {
    const world = state === "Running" ? new World() : trained();
    world.step();
    if (state === "Running") world.say({ state: "Running", progress: { phase: "Training" } });
    const { identity } = world.training;
    world.change(changed);
    expect(conditionsOf(world.step())).toContain("UpToDate=False/Changed");
    expect(world.training.identity).toBe(identity);
    expect(world.live.size).toBe(1);
    world.ask("now");
    expect(conditionsOf(world.step())).toContain("UpToDate=True/Unchanged");
    expect(world.training).toMatchObject({ attempt: 1, state: "Running" });
    expect(world.training.identity).not.toBe(identity);
    expect(world.live.size).toBe(1);
    world.step();
    expect(world.training.attempt).toBe(1);
  });

  test("of the rows starts another training under Auto, while the artifact stays", () => {
    const world = trained(new World(spec({ runPolicy: { onChange: "Auto" } })));
    world.dataset = rows(`sha256:${"9".repeat(64)}`, "8".repeat(64));
    expect(ready(world)).toContain("Ready=False/Starting");
    expect(world.job.status?.artifact?.digest).toBe(ARTIFACT);
    expect(world.training.dataset).toBe(`sha256:${"9".repeat(64)}`);
  });

  test("back to what was trained already takes that, and trains nothing", () => {
    const world = trained(new World(spec({ runPolicy: { onChange: "Auto" } })));
    const first = world.training.identity;
    world.change({ ...changed, runPolicy: { onChange: "Auto" } });
    world.step();
    world.change({ runPolicy: { onChange: "Auto" } });
    expect(ready(world)).toEqual(["Ready=True/Trained"]);
    expect(world.training.identity).toBe(first);
    expect(world.live.size).toBe(0);
  });

  test("of resources alone does nothing to what is trained, and restarts what runs under Auto", () => {
    const more = { pod: { resources: { limits: { memory: "8Gi" } } } };
    const done = trained();
    done.change(more);
    expect(conditionsOf(done.step())).toContain("UpToDate=True/Unchanged");
    const world = new World(spec({ runPolicy: { onChange: "Auto" } }));
    world.step();
    world.say({
      state: "Running",
      progress: { phase: "Training", checkpoint: { step: 5, digest: CHECKPOINT } },
    });
    world.change({ ...more, runPolicy: { onChange: "Auto" } });
    world.step();
    expect(world.training).toMatchObject({ attempt: 2, resumeFrom: CHECKPOINT });
    expect(world.live.size).toBe(1);
  });

  test("before the trainer has said anything starts what is asked for now: an image that is not there, say", () => {
    const world = new World();
    world.step();
    const former = world.training;
    world.change({ pod: { image: "other:1" } });
    world.step();
    expect(world.training).toMatchObject({ identity: former.identity, attempt: 2 });
    expect([...world.live.keys()]).not.toContain(former.job);
  });

  test("while its Job is gone starts what is asked for now", () => {
    const world = new World();
    world.step();
    const { identity } = world.training;
    world.change(changed);
    world.live.clear();
    world.step();
    expect(world.training.identity).not.toBe(identity);
  });
});

describe("a failure", () => {
  const error = (code: string) => ({
    state: "Failed" as const,
    error: { code, message: "row 3 is not UTF-8" },
  });

  test("that no other pod would mend ends it, and a changed spec starts it again from its checkpoint", () => {
    const world = new World();
    world.step();
    world.pod({ phase: "Running" });
    world.say({ ...error("BadDataset"), progress: { checkpoint: { step: 2, digest: CHECKPOINT } } });
    expect(ready(world)).toEqual(["Ready=False/BadDataset", "Stalled=True/BadDataset"]);
    expect(message(world)).toBe("pod trainer-1: row 3 is not UTF-8");
    // Its pod can still be looked at.
    expect(world.live.size).toBe(1);
    world.reports.clear();
    expect(ready(world)).toContain("Stalled=True/BadDataset");
    world.ask("again");
    world.step();
    expect(world.training).toMatchObject({ attempt: 2, state: "Running" });
  });

  test("that may pass is told while the Job tries again, and ends it with the Job", () => {
    const world = new World();
    world.step();
    world.pod({ phase: "Running" });
    world.say(error("HubUnreachable"));
    expect(ready(world)).toContain("Reconciling=True/HubUnreachable");
    world.jobFailed("BackoffLimitExceeded");
    expect(ready(world)).toContain("Stalled=True/HubUnreachable");
    expect(message(world)).toContain("after 4 failed pods");
  });

  test.each([
    ["killed", { exitCode: 137, reason: "OOMKilled" }],
    ["given no more", { exitCode: 134, reason: "Error", message: "what():  std::bad_alloc" }],
  ])("of memory (%s) stops a Job that would try the same again", (how, end) => {
    const world = new World();
    world.step();
    world.pod(terminated(end));
    expect(ready(world)).toContain("Stalled=True/OutOfMemory");
    expect(message(world)).toMatch(
      new RegExp(`pod trainer-1 was ${how} .* spec.pod.resources.limits.memory`),
    );
    expect(world.live.size).toBe(0);
    expect(ready(world)).toContain("Stalled=True/OutOfMemory");
    world.change({ pod: { resources: { limits: { memory: "8Gi" } } } });
    world.step();
    expect(world.training).toMatchObject({ attempt: 2, state: "Running" });
  });

  test("to be done in time is told", () => {
    const world = new World();
    world.step();
    world.pod({ phase: "Running" });
    world.jobFailed("DeadlineExceeded");
    expect(ready(world)).toContain("Stalled=True/DeadlineExceeded");
  });

  test("cannot take words into the status that a pod makes up", () => {
    const world = new World();
    world.step();
    const code = "<script>";
    world.say({ state: "Failed", error: { code, message: "a\u001b[31mb\nc" } });
    world.jobFailed("BackoffLimitExceeded");
    expect(ready(world)).toContain("Stalled=True/TrainerFailed");
    expect(message(world)).not.toMatch(/[\p{Cc}<]/u);
    const other = new World();
    other.step();
    other.say({
      state: "Succeeded",
      result: { artifact: { digest: "../../etc/passwd", type: "x", bytes: -1 } },
    });
    expect(ready(other)).toContain("Stalled=True/BadReport");
  });
});
