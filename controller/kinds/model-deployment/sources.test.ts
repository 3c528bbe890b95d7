import { describe, expect, test } from "vitest";
import { type InCluster, inCluster } from "../../../schemas/model-deployment-in-cluster.ts";
import { folderOf, isPinned, pinned, servedRevision, type TrainedJob, wantedSources } from "./sources.ts";

const commit = "a".repeat(40);
const artifact = `artifact:sha256:${"b".repeat(64)}`;
const spec = (more: object): InCluster => inCluster.parse({ runtime: "VLLM", ...more });
const job = (type: "adapter" | "model", base = "hf://org/base"): TrainedJob => ({
  metadata: { name: "lora" },
  spec: { baseModel: { source: base, file: "m.gguf" } },
  status: {
    artifact: { digest: artifact.slice(9), type },
    base: { source: base, resolved: `hf:org/base@${commit}` },
  },
});
const sources = (of: InCluster, jobs: TrainedJob[] = []) =>
  wantedSources(of, "triage", new Map(jobs.map((each) => [each.metadata.name, each])));

describe("what is brought into the pod", () => {
  test("a FineTuneJob's adapter on its base, as exactly as the training knew it", () => {
    expect(sources(spec({ model: { fineTuneJobRef: { name: "lora" } } }), [job("adapter")])).toEqual({
      adapted: true,
      sources: [
        { name: "model", reference: `hf://org/base@${commit}`, file: "m.gguf" },
        { name: "triage.adapter", reference: artifact },
      ],
    });
  });

  test("a FineTuneJob's whole model", () => {
    expect(sources(spec({ model: { fineTuneJobRef: { name: "lora" } } }), [job("model")])).toEqual({
      adapted: false,
      sources: [{ name: "model", reference: artifact }],
    });
  });

  test.each([
    ["not there", [], "FineTuneJobNotFound"],
    ["made nothing yet", [{ ...job("model"), status: {} }], "FineTuneJobNotReady"],
    ["trained on what it does not say", [job("adapter", "/mnt/base")], "BaseModelUnknown"],
  ])("a FineTuneJob that is %s", (_, jobs, reason) => {
    expect(sources(spec({ model: { fineTuneJobRef: { name: "lora" } } }), jobs)).toMatchObject({
      missing: { reason },
    });
  });

  test("a whole model is no adapter", () => {
    const of = spec({
      model: { source: `hf://org/base@${commit}` },
      adapters: [{ name: "x", fineTuneJobRef: { name: "lora" } }],
    });
    expect(sources(of, [job("model")])).toMatchObject({ missing: { reason: "NotAnAdapter", final: true } });
    expect(sources(of, [job("adapter")])).toMatchObject({
      sources: [{ name: "model" }, { name: "x", reference: artifact }],
    });
  });

  test("no adapter takes the model's name", () => {
    const of = spec({ model: { source: artifact }, adapters: [{ name: "model", source: artifact }] });
    expect(sources(of)).toMatchObject({ missing: { reason: "InvalidSpec", final: true } });
  });

  test("one adapter at most, where it is merged", () => {
    const of = spec({
      runtime: "Transformers",
      model: { fineTuneJobRef: { name: "lora" } },
      adapters: [{ name: "x", source: artifact }],
    });
    expect(sources(of, [job("adapter")])).toMatchObject({ missing: { reason: "InvalidSpec", final: true } });
  });
});

test.each([
  [artifact, true],
  ["pvc://models/a", true],
  [`hf://org/m@${commit}`, true],
  ["hf://org/m@main", false],
  ["hf://org/m", false],
  ["s3://bucket/m", false],
])("%s means the same for ever: %s", (reference, expected) => {
  expect(isPinned(reference)).toBe(expected);
});

test("the same content lies in the same folder, whatever it is called; a claim is where it is mounted", () => {
  const known = [{ name: "model", source: "hf://org/m@main", resolved: `hf://org/m@${commit}` }];
  const [a, b, c, d] = pinned(
    [
      { name: "model", reference: "hf://org/m@main" },
      { name: "model", reference: `hf://org/m@${commit}` },
      { name: "model", reference: `hf://org/m@${commit}`, file: "m.gguf" },
      { name: "model", reference: "pvc://models/llama/3" },
    ],
    known,
  )!;
  expect(folderOf(a!)).toBe(folderOf(b!));
  expect(folderOf(c!)).not.toBe(folderOf(b!));
  expect(folderOf(d!)).toBe("/claims/models/llama/3");
  expect(pinned([{ name: "model", reference: "hf://org/other" }], known)).toBeUndefined();
});

test("the revision changes with the content, the image and the file, and with nothing else", () => {
  const one = pinned([{ name: "model", reference: artifact }], [])!;
  const revision = servedRevision("s", "image:1", one);
  expect(servedRevision("s", "image:1", [{ ...one[0]!, secret: { name: "x" } }])).toBe(revision);
  expect(servedRevision("s", "image:1", [{ ...one[0]!, rank: 64 }])).toBe(revision);
  expect(servedRevision("s", "image:2", one)).not.toBe(revision);
  expect(servedRevision("s", "image:1", [{ ...one[0]!, file: "a.gguf" }])).not.toBe(revision);
  expect(servedRevision("t", "image:1", one)).not.toBe(revision);
});
