import { describe, expect, test } from "vitest";
import { RUNTIMES, type RuntimeName } from "../../../schemas/model-deployment-in-cluster.ts";
import { InClusterWorld } from "../../../test/in-cluster-world.ts";
import { conditionsOf } from "../../../test/kind-objects.ts";
import { unservable } from "./servable.ts";
import type { TrainedJob } from "./sources.ts";

const GGUF = "m-q8_0.gguf";

/** A FineTuneJob before it has made anything, and what it is to make. */
function job({ adapter, file }: { adapter?: { r?: number }; file?: string } = {}): TrainedJob {
  return { metadata: { name: "tuned" }, spec: { baseModel: { source: "hf://org/base", file }, adapter } };
}

function made(of: TrainedJob, rank?: number): TrainedJob {
  const type = of.spec.adapter ? "adapter" : "model";
  return { ...of, status: { artifact: { digest: `sha256:${"a".repeat(64)}`, type, rank } } };
}

const refusing = (of: TrainedJob, use: "model" | "adapter" = "model") =>
  RUNTIMES.filter((runtime) => unservable({ runtime, adapters: [] }, of, use) !== undefined);

describe("runtimes that cannot serve", () => {
  test.each<[string, TrainedJob, RuntimeName[]]>([
    ["a whole model", job(), ["LlamaCpp"]],
    ["a whole model whose base was a GGUF file", job({ file: GGUF }), ["LlamaCpp"]],
    ["an adapter", job({ adapter: {} }), ["LlamaCpp"]],
    ["an adapter on a GGUF file", job({ adapter: {}, file: GGUF }), ["SGLang", "LlamaCpp", "TGI"]],
  ])("%s, before and after it is made", (_, of, runtimes) => {
    expect(refusing(of)).toEqual(runtimes);
    expect(refusing(made(of))).toEqual(runtimes);
  });

  test("an adapter that was trained on a GGUF file, on a base of the spec's own", () => {
    expect(refusing(made(job({ adapter: {}, file: GGUF })), "adapter")).toEqual(["LlamaCpp"]);
  });

  test("an adapter of a great rank", () => {
    expect(refusing(made(job({ adapter: {} }), 512))).toEqual(["LlamaCpp"]);
    expect(refusing(made(job({ adapter: {} }), 513))).toEqual(["VLLM", "LlamaCpp"]);
    // Before hours of training, too.
    expect(refusing(job({ adapter: { r: 513 } }))).toEqual(["VLLM", "LlamaCpp"]);
  });

  test("what can serve one of several adapters is not named where it serves one alone", () => {
    const adapters = [{ name: "a" }, { name: "b" }];
    const said = unservable({ runtime: "VLLM", adapters }, job({ adapter: { r: 513 } }), "adapter");
    expect(said?.message).toMatch(/; these can serve it: SGLang, TGI$/);
  });

  test("what a provider trained", () => {
    const of = job();
    expect(refusing({ ...of, spec: { ...of.spec, backend: "openai" } })).toEqual(RUNTIMES);
  });
});

test.each([
  ["the model", { model: { fineTuneJobRef: { name: "tuned" } } }, job({ adapter: {}, file: GGUF })],
  [
    "an adapter",
    {
      runtime: "VLLM",
      model: { source: `artifact:sha256:${"b".repeat(64)}` },
      adapters: [{ name: "x", fineTuneJobRef: { name: "tuned" } }],
    },
    made(job({ adapter: {} }), 1024),
  ],
])("as %s it is said for good, with what can serve it, and no pod tries", (_, spec, of) => {
  const cluster = new InClusterWorld({ runtime: "TGI", ...spec });
  cluster.observed = { jobs: new Map([["tuned", of]]) };
  const decision = cluster.settle();
  expect(conditionsOf(decision)).toEqual(["Ready=False/InvalidSpec", "Stalled=True/InvalidSpec"]);
  const { message } = decision.status.conditions?.[0] ?? {};
  expect(message).toMatch(/FineTuneJob tuned .*; these can serve it: .*Ollama, Transformers$/);
  expect(cluster.children.size).toBe(0);
});
