import { Job } from "../../controller/kube/resources.ts";
import { isReady, SHORT, TEAM, TrainingWorld } from "../e2e/in-cluster/training-world.ts";
import { typeOf } from "../scenario/cluster.ts";
import { waitFor } from "../scenario/wait.ts";
import { makeRows } from "./rows.ts";
import { baseSafetensors, holds } from "./training.ts";

const MODEL = "smollm/safetensors";
const TRAINING_MS = 15 * 60_000;

type Figures = Record<string, unknown>;

/** A FineTuneJob whose pod runs TensorFlow's image on a real node. */
export async function tensorflowOnNode(folder: string): Promise<Figures> {
  await using world = await TrainingWorld.open("tensorflow", { [MODEL]: await baseSafetensors(folder) });
  await world.prepare("rows");
  const model = { framework: "tensorflow", baseModel: { source: `hf://${MODEL}`, endpoint: world.hub.url } };
  return { sft: await train(world, "sft", model) };
}

/**
 * What the tests of every commit do not train on a node with PyTorch: preferences, and a whole model, which is then
 * served and answers otherwise than its base.
 */
export async function torchOnNode(): Promise<Figures> {
  await using world = await TrainingWorld.open();
  await world.prepare("rows");
  await world.prepare("preferences");
  const dpo = await train(world, "dpo", {
    method: "dpo",
    datasetRef: { name: "preferences" },
  });
  const whole = await train(world, "whole", {
    adapter: undefined,
    hyperparameters: { ...SHORT, learningRate: 0.0002 },
  });
  await world.serve("plain", world.base);
  await world.serve("whole", { fineTuneJobRef: { name: "whole" } });
  const answers: Record<string, string[]> = {};
  for (const name of ["plain", "whole"]) {
    await world.waitUntilServed(name);
    answers[name] = [];
    for (const { messages } of makeRows(1, 99))
      answers[name].push(await world.ask(name, messages[1]!.content));
  }
  holds(JSON.stringify(answers.plain) !== JSON.stringify(answers.whole), "the whole model answers otherwise");
  return { dpo, whole, answers, cancelled: await cancel(world) };
}

/** Deletes a FineTuneJob while its pod trains: neither Job nor pod stays. */
async function cancel(world: TrainingWorld): Promise<Figures> {
  await world.train("cancelled", { hyperparameters: { ...SHORT, maxSteps: 1000 } });
  const training = await world.waitForJob(
    "cancelled",
    "training",
    ({ status }) => (status?.progress?.step ?? 0) > 0,
    TRAINING_MS,
  );
  const step = training.status!.progress!.step;
  const started = Date.now();
  await world.client.delete(typeOf("FineTuneJob"), TEAM, "cancelled");
  await waitFor(
    "its pod to be gone",
    () => world.podsOf(training),
    (pods) => pods.length === 0,
    {
      timeoutMs: 2 * 60_000,
    },
  );
  const jobs = (await world.client.list(Job, { namespace: TEAM })).items.map(({ metadata }) => metadata.name);
  holds(!jobs.includes(training.status!.training!.job!), "its Job is gone");
  return { step, secondsUntilGone: Math.round((Date.now() - started) / 1000) };
}

/** @returns figures of a training that succeeded */
async function train(world: TrainingWorld, name: string, spec: Record<string, unknown>): Promise<Figures> {
  const started = Date.now();
  await world.train(name, spec);
  const over = await world.waitForJob(
    name,
    "over",
    (job) => isReady(job) || job.status?.training?.state === "Failed",
    TRAINING_MS,
  );
  const { training, artifact, metrics: { firstLoss, lastLoss } = {} } = over.status ?? {};
  holds(isReady(over), `${name} succeeded: ${JSON.stringify(training?.failure)}`);
  holds(artifact !== undefined, `the artifact of ${name} is recorded`);
  holds(lastLoss! < firstLoss!, `the loss of ${name} falls: ${firstLoss} to ${lastLoss}`);
  const pods = await world.podsOf(over);
  const images = pods.map(({ spec }) => (spec as { containers: { image: string }[] }).containers[0]?.image);
  holds(images.length === 1, `one pod trained ${name}, and not ${images.length}`);
  return {
    image: images[0],
    steps: over.status?.progress?.step,
    firstLoss,
    lastLoss,
    artifact: artifact?.digest,
    type: artifact?.type,
    seconds: Math.round((Date.now() - started) / 1000),
  };
}
