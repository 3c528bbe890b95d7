import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Job, Pod, Secret } from "../../../controller/kube/resources.ts";
import { artifactManifest } from "../../../schemas/artifact.ts";
import { type Monitor, PROMETHEUS_METRICS } from "../../../schemas/monitor.ts";
import { MlflowServer } from "../../mlflow-server.ts";
import { startPrometheus } from "../../monitoring/servers.ts";
import { nodePossible } from "../../node-possible.ts";
import { getObject, hasCondition, typeOf } from "../../scenario/cluster.ts";
import { waitFor } from "../../scenario/wait.ts";
import { python } from "../../train/environment.ts";
import { makeRows, SYSTEM } from "../../train/rows.ts";
import { isReady, messageOf, reasonOf, SHORT, TEAM, TrainingWorld } from "./training-world.ts";

const MINUTE = 60_000;
let world: TrainingWorld;
let mlflow: MlflowServer;

/** Tickets that are in no row, by which the checkpoint is chosen. */
const CASES = makeRows(1, 99).map(({ messages: [, question, answer] }, i) => ({
  id: `case-${i}`,
  vars: { question: question!.content },
  expected: answer!.content,
}));
const SELECTION = { suiteRef: { name: "choose" }, promptRef: { name: "topic" } };

/** The training that most of this is about: its checkpoint is chosen, and registered. */
const trainTriage = (more: Record<string, unknown> = {}) =>
  world.train("triage", {
    selection: SELECTION,
    mlflow: { trackingUri: mlflow.url, experiment: "tickets", registeredModel: "triage", alias: "candidate" },
    ...more,
  });

/** `kubectl get` shows a share that the trainer has printed, and not an old one. */
async function expectProgressAsTheTrainerSaysIt(pod: string): Promise<void> {
  const printed = async () =>
    [...(await world.kubectl.run("logs", pod)).matchAll(/"percent": (\d+)/g)].map(([, percent]) => percent);
  await waitFor(
    "kubectl to show what the trainer prints",
    async () => {
      const before = (await printed()).length;
      const { PROGRESS } = await world.kubectl.row("ftj", "triage");
      // What it printed last before that may be on its way.
      return (await printed()).slice(Math.max(0, before - 3)).includes(PROGRESS);
    },
    (agree) => agree,
  );
}

/** What a served model says to each case, and the slowest answer in milliseconds. */
async function answersOf(model: string): Promise<{ texts: string[]; slowestMs: number }> {
  const texts: string[] = [];
  let slowestMs = 0;
  for (const { vars } of CASES) {
    const started = performance.now();
    texts.push(await world.ask(model, vars.question));
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  return { texts, slowestMs };
}

async function blob(digest: string): Promise<Buffer> {
  const hex = digest.slice("sha256:".length);
  return readFile(join(world.stateDir, "controller", "blobs", "sha256", hex.slice(0, 2), hex.slice(2)));
}

describe.skipIf(!nodePossible)("a FineTuneJob on a real node", () => {
  beforeAll(async () => {
    // Beside the trainer's environment, which takes one core too. `start` says what went wrong with it.
    const installed = python("mlflow").catch(() => undefined);
    world = await TrainingWorld.open();
    await installed;
    mlflow = await MlflowServer.start(join(world.stateDir, "mlflow"), world.hostIP);
    await world.prepare("rows");
    await world.apply("PromptTemplate", "topic", {
      messages: [
        { role: "system", content: SYSTEM },
        { role: "user", content: "{{question}}" },
      ],
      parameters: { maxTokens: 4 },
    });
    await world.apply("EvalSuite", "choose", {
      targets: [{ name: "topic", promptRef: { name: "topic" }, modelRef: { name: "served-later" } }],
      cases: { inline: CASES },
      assert: [{ type: "icontains", value: "{{expected}}" }],
    });
  });
  afterAll(async () => {
    await mlflow?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  test(
    "trains LoRA of a real model; killed in between, another pod goes on from its checkpoint",
    async () => {
      await trainTriage();
      const begun = await world.waitForJob(
        "triage",
        "with a checkpoint",
        ({ status }) => status?.progress?.checkpoint !== undefined,
        6 * MINUTE,
      );
      const first = begun.status!.training!.pod!;
      const checkpoint = begun.status!.progress!.checkpoint!;
      expect(reasonOf(begun)).toBe("Training");
      expect(begun.status!.progress!.percent).toBeLessThan(100);
      await expectProgressAsTheTrainerSaysIt(first);
      await world.killTrainers();

      const resumed = await world.waitForJob(
        "triage",
        "training in another pod",
        ({ status }) =>
          status?.training?.pod !== first &&
          status?.progress?.phase === "Training" &&
          (status.progress.etaSeconds !== undefined || status.progress.step > checkpoint.step),
        6 * MINUTE,
      );
      expect(resumed.status!.progress!.step).toBeGreaterThanOrEqual(checkpoint.step);

      const { status } = await world.waitForJob("triage", "Ready", isReady, 6 * MINUTE);
      expect(status!.progress).toMatchObject({ percent: 100, step: 12, totalSteps: 12 });
      expect(await world.kubectl.row("ftj", "triage")).toMatchObject({
        READY: "True",
        PROGRESS: "100",
        ARTIFACT: status!.artifact!.digest,
      });
      const steps = status!.progress!.lossHistory!.map(({ step }) => step);
      expect(steps).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      expect(status!.metrics!.lastLoss!).toBeLessThan(status!.metrics!.firstLoss! * 0.75);
      expect(status!.base).toMatchObject({
        resolved: expect.stringMatching(/^hf:smollm\/gguf@[0-9a-f]{40}$/),
      });
      expect(status!.artifact).toMatchObject({ type: "adapter", revision: status!.revision });
      const manifest = artifactManifest.parse(JSON.parse((await blob(status!.artifact!.digest)).toString()));
      const weights = manifest.files.find(({ path }) => path === "adapter_model.safetensors")!;
      expect(await blob(weights.digest)).toHaveLength(weights.bytes);
      expect(manifest.metadata).toMatchObject({ dataset: status!.training!.dataset });
      // What marks a checkpoint, from which one goes on, is not on what was finished.
      expect(manifest.metadata).not.toHaveProperty("checkpoint");

      // Each checkpoint has answered the suite, those of the pod that was killed too, and the best is the artifact.
      const checkpoints = status!.checkpoints!;
      expect(checkpoints.map(({ step }) => step)).toEqual([3, 6, 9, 12]);
      const best = Math.max(...checkpoints.map(({ passRate }) => passRate));
      const chosen = checkpoints.find(({ passRate }) => passRate === best)!;
      expect(status!.artifact).toMatchObject({ digest: chosen.digest, step: chosen.step });
      expect(manifest.metadata).toMatchObject({ step: chosen.step });
      expect(manifest.files.map(({ path }) => path)).not.toContain("optimizer.pt");
    },
    120 * MINUTE,
  );

  test("leaves one version in MLflow, with the alias, and with tags that say what it is made from", async () => {
    const { status } = (await world.job("triage"))!;
    const [version, ...others] = await mlflow.versions("triage");
    expect(others).toEqual([]);
    const { runId } = status!.mlflow!;
    expect(status!.mlflow).toEqual({ runId, model: "triage", version: version!.version });
    expect(version).toMatchObject({
      run_id: runId,
      source: `slipway-artifact:/${status!.artifact!.digest}`,
    });
    const tags = Object.fromEntries((version!.tags ?? []).map(({ key, value }) => [key, value]));
    expect(tags).toMatchObject({
      "slipway.object": `${TEAM}/triage`,
      "slipway.revision": status!.revision,
      "slipway.dataset": status!.training!.dataset,
      "slipway.identity": status!.training!.identity,
      "slipway.base": status!.base!.resolved,
    });
    expect((await mlflow.aliased("triage", "candidate")).version).toBe(version!.version);
    const measured = status!.checkpoints!.map(({ step, passRate }) => ({ step, value: passRate }));
    expect(await mlflow.metric(runId, "suite.passRate")).toEqual(measured);
  });

  test("trains nothing for a suite that a text alone cannot be graded by", async () => {
    await world.apply("EvalSuite", "judged", {
      targets: [{ name: "topic", promptRef: { name: "topic" }, modelRef: { name: "served-later" } }],
      cases: { inline: CASES },
      assert: [{ type: "llm-rubric", value: "polite" }],
      judge: { modelRef: { name: "served-later" } },
    });
    await world.train("judged", { selection: { ...SELECTION, suiteRef: { name: "judged" } } });
    const refused = await world.waitForJob(
      "judged",
      "refused",
      (job) => reasonOf(job) === "UnsupportedGrader",
    );
    expect(messageOf(refused)).toMatch(/^EvalSuite judged has the grader llm-rubric/);
    expect(hasCondition(refused, "Stalled")).toBe(true);
    expect(await world.podsOf(refused)).toEqual([]);
  });

  test("is one Job for what it is made from, over a restart of the controller too", async () => {
    const before = await world.job("triage");
    await world.stopController();
    await world.startController();
    await trainTriage({ description: "the same" });
    const after = await world.waitForJob(
      "triage",
      "looked at again",
      ({ metadata, status }) => status?.observedGeneration === metadata.generation,
    );
    expect([isReady(after), after.status?.artifact, after.status?.training]).toEqual([
      true,
      before?.status?.artifact,
      before?.status?.training,
    ]);
    const { items } = await world.client.list(Job, { namespace: TEAM });
    expect(items.map(({ metadata }) => metadata.name)).toEqual([before?.status?.training?.job]);
  });

  test(
    "is served beside its base and answers otherwise, and a Monitor reads all of the server's figures by way of Prometheus",
    async () => {
      await world.serve("plain", world.base);
      await world.serve("triage", { fineTuneJobRef: { name: "triage" } });
      const [served] = await Promise.all(["triage", "plain"].map((name) => world.waitUntilServed(name)));
      expect(await world.kubectl.row("mdep", "triage")).toMatchObject({ READY: "True", REPLICAS: "1" });
      const tuned = await answersOf("triage");
      expect(tuned.texts).not.toEqual((await answersOf("plain")).texts);
      await world.client.delete(typeOf("ModelDeployment"), TEAM, "plain");

      const pods = await world.podsOf(served!);
      expect(pods).toHaveLength(1);
      const { podIP } = pods[0]!.status as { podIP: string };
      const labels = { namespace: TEAM, pod: pods[0]!.metadata.name };
      await using prometheus = await startPrometheus([{ job: "models", host: `${podIP}:8000`, labels }]);
      const watch = (limit: number) =>
        world.apply("Monitor", "triage", {
          targetRef: { name: "triage" },
          interval: "2s",
          prometheus: { url: prometheus.url },
          signals: PROMETHEUS_METRICS.map((metric) => ({
            name: metric.toLowerCase(),
            type: "Prometheus",
            prometheus: { metric, window: "2m" },
            // A model that makes no tokens is broken; of everything else more is worse.
            thresholds:
              metric === "tokensPerSecond"
                ? { operator: "Below", alert: 0 }
                : { alert: metric === "latencyP50" ? limit : 1e9 },
          })),
        });
      await watch(1e9);
      let slowestMs = 0;
      const monitor = (what: string, wanted: (monitor: Monitor) => boolean) =>
        waitFor(
          `the Monitor to be ${what}`,
          async () => {
            slowestMs = Math.max(slowestMs, (await answersOf("triage")).slowestMs);
            return (await getObject<Monitor>(world.client, "Monitor", TEAM, "triage"))!;
          },
          wanted,
          { timeoutMs: 4 * MINUTE },
        );
      const shown = (state: string, summary: string) =>
        waitFor(
          `kubectl to show ${state} ${summary}`,
          async () => {
            await answersOf("triage");
            return world.kubectl.row("mon", "triage");
          },
          ({ STATE, OK }) => STATE === state && OK === summary,
          { timeoutMs: 2 * MINUTE },
        );
      const { status } = await monitor("OK in all signals", (object) => object.status?.state === "OK");
      const value = new Map(status!.signals!.map(({ name, value }) => [name, Number(value)]));
      expect([...value.keys()].toSorted()).toEqual(PROMETHEUS_METRICS.map((m) => m.toLowerCase()).toSorted());
      expect(value.get("errorrate")).toBe(0);
      // One request at a time: it may be seen on its way to the model.
      expect(value.get("queue")).toBeLessThanOrEqual(1);
      expect(value.get("tokenspersecond")).toBeGreaterThan(0);
      // A quantile is as fine as the histogram's buckets, which no more than triple.
      for (const name of [
        "latencyp50",
        "latencyp95",
        "latencyp99",
        "timetofirsttokenp50",
        "timetofirsttokenp95",
      ]) {
        expect(value.get(name), name).toBeGreaterThan(0);
        expect(value.get(name), name).toBeLessThan(3 * slowestMs);
      }
      await shown("OK", "8/8");

      await watch(0.001);
      await monitor("in ALERT", (object) => object.status?.state === "ALERT");
      await shown("ALERT", "7/8");
      await world.client.delete(typeOf("Monitor"), TEAM, "triage");
      await world.client.delete(typeOf("ModelDeployment"), TEAM, "triage");
    },
    20 * MINUTE,
  );

  test(
    "whose node is lost says so, and goes on when the node is back",
    async () => {
      await world.train("lost");
      await world.waitForJob(
        "lost",
        "training",
        ({ status }) => status?.progress?.phase === "Training",
        6 * MINUTE,
      );
      await world.freezeNode();
      try {
        const lost = await world.waitForJob(
          "lost",
          "NodeLost",
          (job) => reasonOf(job) === "NodeLost",
          3 * MINUTE,
        );
        expect(messageOf(lost)).toMatch(/^node \S+ of pod lost-\S+ does not answer/);
        expect(hasCondition(lost, "Stalled")).toBe(false);
      } finally {
        await world.thawNode();
      }
      await world.waitForJob("lost", "Ready", isReady, 6 * MINUTE);
    },
    16 * MINUTE,
  );

  test(
    "says why it cannot train, naming the pod and what to do",
    async () => {
      const limits = { resources: { limits: { memory: "200Mi" } } };
      await world.train("no-image", { pod: { image: "registry.invalid/none:1" } });
      await world.train("no-node", { pod: { nodeSelector: { pool: "none" } } });
      await world.train("no-model", {
        baseModel: { source: "hf://smollm/none", endpoint: world.hub.url },
      });
      const wait = (name: string, reason: string) =>
        world.waitForJob(name, reason, (job) => reasonOf(job) === reason, 6 * MINUTE);
      const image = await wait("no-image", "ImagePullFailed");
      expect(messageOf(image)).toMatch(/^pod no-image-\S+ cannot get its image .*spec\.pod\.image/s);
      expect(messageOf(await wait("no-node", "Unschedulable"))).toMatch(/no-node-\S+: .*nodeSelector/s);
      const model = await wait("no-model", "UnknownBaseModel");
      expect(messageOf(model)).toMatch(/^pod no-model-\S+: .*smollm\/none/s);
      expect(hasCondition(model, "Stalled")).toBe(true);
      expect(await world.podsOf(model)).toHaveLength(1);

      await world.train("no-rows", { method: "dpo" });
      await world.train("no-memory", { pod: limits });
      // Each step multiplies the weights by rate and decay, whatever the gradients are.
      await world.train("no-number", {
        hyperparameters: { ...SHORT, learningRate: 1e9, weightDecay: 1, maxGradNorm: 0 },
      });
      expect(messageOf(await wait("no-rows", "BadDataset"))).toMatch(
        /train\.jsonl, row 1 .*chosen and rejected/s,
      );
      expect(messageOf(await wait("no-memory", "OutOfMemory"))).toMatch(
        /^pod no-memory-\S+ .*limits\.memory/s,
      );

      expect(messageOf(await wait("no-number", "NonFiniteLoss"))).toMatch(
        /^pod no-number-\S+: .*lower learningRate/s,
      );

      // With another image it goes on, here to the next fault.
      await world.train("no-image", { baseModel: { source: "hf://smollm/none", endpoint: world.hub.url } });
      await wait("no-image", "UnknownBaseModel");
    },
    20 * MINUTE,
  );

  test(
    "goes with everything that was made for it",
    async () => {
      const { training } = (await world.job("triage"))!.status!;
      const { items } = await world.client.list(typeOf("FineTuneJob"), { namespace: TEAM });
      for (const { metadata } of items) await world.client.delete(typeOf("FineTuneJob"), TEAM, metadata.name);
      await waitFor(
        "Jobs, pods and tokens to be gone",
        async () =>
          (
            await Promise.all([Job, Pod, Secret].map((each) => world.client.list(each, { namespace: TEAM })))
          ).flatMap(({ items }) => items.map(({ metadata }) => metadata.name)),
        (names) => names.length === 0,
        { timeoutMs: 2 * MINUTE },
      );
      expect(await getObject(world.client, "ConfigMap", TEAM, training!.job!)).toBeUndefined();
    },
    3 * MINUTE,
  );
});
