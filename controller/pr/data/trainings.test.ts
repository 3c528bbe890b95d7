import { expect, test } from "vitest";
import { assessmentOf } from "../../../test/pull-request.ts";
import { TRAINING, training } from "../../../test/training-repository.ts";
import type { SideSummary } from "../../data/diff/types.ts";
import { trainingsOf } from "./trainings.ts";

const summary = { splits: [{ name: "train", rows: 60, tokens: 900 }] } as unknown as SideSummary;
const predicted = async (hyperparameters: object, dataset = "tickets", more: object = {}) => {
  const base = { ...TRAINING, "training.yaml": training("tuned", hyperparameters, more) };
  const { base: snapshot } = await assessmentOf({ base, head: {} });
  return trainingsOf(dataset, summary, snapshot.graph);
};

test("steps and tokens are of one training, with the trainer's defaults", async () => {
  expect(await predicted({})).toEqual([{ job: "tuned", rows: 60, steps: 15, tokens: 900 }]);
  expect(await predicted({ epochs: 2.5, batchSize: 8 })).toMatchObject([{ steps: 19, tokens: 2280 }]);
  expect(await predicted({ batchSize: 2, gradientAccumulation: 10 })).toMatchObject([{ steps: 3 }]);
});

test("maxSteps decides, whatever the epochs", async () => {
  expect(await predicted({ epochs: 9, maxSteps: 30 })).toMatchObject([{ steps: 30, tokens: 1800 }]);
});

test("a provider's price makes a cost; without one it is not known", async () => {
  const hosted = (price: object) => ({
    backend: "openai",
    baseModel: { source: "small-1" },
    adapter: undefined,
    openai: { secretRef: { name: "key" }, ...price },
  });
  const priced = hosted({ pricePerMillionTrainedTokens: "3.00" });
  expect(await predicted({ epochs: 2 }, "tickets", priced)).toMatchObject([{ tokens: 1800, cost: 0.0054 }]);
  const [unpriced] = await predicted({ epochs: 2 }, "tickets", hosted({}));
  expect(unpriced).not.toHaveProperty("cost");
});

test("only trainings of the Dataset count", async () => {
  expect(await predicted({}, "other")).toEqual([]);
});
