import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type ModelDeployment, modelDeploymentSpec } from "../../../schemas/model-deployment.ts";
import type { RuntimeName } from "../../../schemas/model-deployment-in-cluster.ts";
import { object } from "../../../test/kind-objects.ts";
import { cacheClaim, mainService, revisionDeployment, revisionService } from "./manifests.ts";
import type { Revision } from "./names.ts";
import { RUNTIME } from "./runtimes/index.ts";
import { pinned, servingOf, wantedSources } from "./sources.ts";

/** `SLIPWAY_UPDATE_GOLDEN=1` writes the files anew; read the difference, and the runtime's documentation, before committing it. */
const update = process.env.SLIPWAY_UPDATE_GOLDEN === "1";
const commit = "0123456789abcdef0123456789abcdef01234567";
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

const lora = {
  metadata: { name: "lora" },
  spec: { baseModel: { source: "hf://org/base@main", secretRef: { name: "hub", key: "token" } } },
  status: {
    artifact: { digest: digest("a"), type: "adapter" as const, rank: 8 },
    base: { source: "hf://org/base@main", resolved: `hf:org/base@${commit}` },
  },
};

const highRank = {
  ...lora,
  metadata: { name: "lora-r48" },
  status: { ...lora.status, artifact: { digest: digest("d"), type: "adapter" as const, rank: 48 } },
};
const jobs = new Map([lora, highRank].map((job) => [job.metadata.name, job]));

const GOLDEN: Record<string, { readonly runtime: RuntimeName; readonly [field: string]: unknown }> = {
  "vllm-two-gpus-adapters": {
    runtime: "VLLM",
    model: { source: `hf://org/model@${commit}`, secretRef: { name: "hub" } },
    adapters: [
      { name: "sql", source: `artifact:${digest("b")}` },
      { name: "chat", source: `hf://org/chat@${commit}` },
    ],
    args: ["--max-model-len", "8192"],
    gpu: { count: 2 },
    replicas: 2,
    startupTimeout: "3h",
    cache: { size: "200Gi", storageClassName: "fast", accessMode: "ReadWriteMany" },
    podTemplate: {
      resources: { requests: { cpu: "4", memory: "32Gi" }, limits: { memory: "64Gi" } },
      nodeSelector: { "gpu.example.com/model": "h100" },
      tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
      imagePullSecrets: [{ name: "registry" }],
      labels: { team: "support" },
      annotations: { "example.com/owner": "support" },
      env: [{ name: "VLLM_LOGGING_LEVEL", value: "WARNING" }],
      priorityClassName: "serving",
    },
  },
  "vllm-fine-tuned": { runtime: "VLLM", model: { fineTuneJobRef: { name: "lora" } }, gpu: { count: 1 } },
  "vllm-high-rank": {
    runtime: "VLLM",
    model: { fineTuneJobRef: { name: "lora-r48" } },
    adapters: [{ name: "sql", fineTuneJobRef: { name: "lora" } }],
    gpu: { count: 1 },
  },
  sglang: { runtime: "SGLang", model: { source: `hf://org/model@${commit}` }, gpu: { count: 4 } },
  "sglang-fine-tuned": { runtime: "SGLang", model: { fineTuneJobRef: { name: "lora" } }, gpu: { count: 1 } },
  "sglang-adapters": {
    runtime: "SGLang",
    model: { source: `hf://org/model@${commit}` },
    adapters: [
      { name: "sql", source: `artifact:${digest("b")}` },
      { name: "chat", source: `hf://org/chat@${commit}` },
    ],
    gpu: { count: 1 },
  },
  "llama-cpp-cpu": {
    runtime: "LlamaCpp",
    model: { source: `hf://org/model-GGUF@${commit}`, file: "model-q8_0.gguf" },
    podTemplate: { resources: { limits: { cpu: "2", memory: "1Gi" } } },
  },
  "llama-cpp-gpus": {
    runtime: "LlamaCpp",
    model: { source: "pvc://models/llama", file: "model-q8_0.gguf" },
    adapters: [{ name: "tone", source: `artifact:${digest("b")}`, file: "tone.gguf" }],
    gpu: { count: 2 },
  },
  tgi: {
    runtime: "TGI",
    model: { source: `hf://org/model@${commit}` },
    adapters: [{ name: "sql", source: `artifact:${digest("b")}` }],
    gpu: { count: 2 },
  },
  "tgi-fine-tuned": {
    runtime: "TGI",
    model: { fineTuneJobRef: { name: "lora" } },
    adapters: [{ name: "sql", fineTuneJobRef: { name: "lora-r48" } }],
    gpu: { count: 1 },
  },
  "ollama-fine-tuned": { runtime: "Ollama", model: { fineTuneJobRef: { name: "lora" } }, gpu: { count: 1 } },
  ollama: {
    runtime: "Ollama",
    model: { source: `hf://org/model-GGUF@${commit}`, file: "model-q8_0.gguf" },
    adapters: [{ name: "tone", source: `artifact:${digest("b")}` }],
  },
  "transformers-fine-tuned": {
    runtime: "Transformers",
    modelName: "smollm2-triage",
    model: { fineTuneJobRef: { name: "lora" } },
    drainTimeout: "2m",
    podTemplate: { resources: { limits: { cpu: "2", memory: "2Gi" } } },
  },
  "transformers-gguf-recreate": {
    runtime: "Transformers",
    model: { source: `artifact:${digest("c")}`, file: "model.gguf" },
    rollout: { strategy: "Recreate" },
  },
  "custom-adapters": {
    runtime: "Custom",
    image: "registry.example.com/server:1.2",
    model: { fineTuneJobRef: { name: "lora" } },
    adapters: [
      { name: "sql", source: `artifact:${digest("b")}` },
      { name: "chat", source: `hf://org/chat@${commit}` },
    ],
  },
  custom: {
    runtime: "Custom",
    image: "registry.example.com/server:1.2",
    model: { source: "s3://models/llama", region: "eu-central-1", secretRef: { name: "bucket" } },
    command: ["/server"],
    args: ["--model", "$(SLIPWAY_MODEL)"],
    port: 9000,
    healthPath: "/ready",
  },
};

function manifests(inCluster: Record<string, unknown>): string {
  const deployment = object<ModelDeployment>("ModelDeployment", {
    metadata: { name: "triage", uid: "3f2a" },
    spec: modelDeploymentSpec.parse({ type: "InCluster", inCluster }),
  });
  const spec = deployment.spec.inCluster!;
  const wanted = wantedSources(spec, "triage", jobs);
  if ("missing" in wanted) throw new Error(wanted.missing.message);
  const source = "s3://models/llama";
  const sources = pinned(wanted.sources, [{ name: "model", source, resolved: `${source}#sha256:1` }])!;
  const revision = "f".repeat(64);
  const serving = servingOf(spec, "triage", wanted, sources);
  const of: Revision = { deployment, spec, revision, serving, sources, workUrl: "http://slipway:8080" };
  const claim = cacheClaim(deployment, spec);
  return [
    ...(claim ? [claim] : []),
    revisionDeployment(of, spec.replicas ?? 1),
    revisionService(deployment, revision),
    mainService(deployment, revision, "2030-01-01T00:00:00.000Z"),
  ]
    .map((each) => stringify(each, { aliasDuplicateObjects: false }))
    .join("---\n");
}

describe("the manifests of", () => {
  test.each(Object.keys(GOLDEN))("%s", async (name) => {
    const file = new URL(`testdata/${name}.yaml`, import.meta.url);
    const text = manifests(GOLDEN[name]!);
    if (update) await writeFile(file, text);
    expect(text).toBe(await readFile(file, "utf8"));
  });

  test("every runtime", () => {
    expect([...new Set(Object.values(GOLDEN).map(({ runtime }) => runtime))].sort()).toEqual(
      Object.keys(RUNTIME).sort(),
    );
  });

  test.each(
    Object.entries(RUNTIME)
      .filter(([name]) => name !== "Custom")
      .flatMap(([name, { image }]) => [0, 1].map((gpus) => [name, gpus, image({ gpus })] as const)),
  )("%s with %i GPUs names the version of its image", (_, __, image) => {
    expect(image).toMatch(/^[\w.-]+\.\w+\/[\w./-]+:(\w+-)*[bv]?\d+[.\d]*$/);
  });
});
