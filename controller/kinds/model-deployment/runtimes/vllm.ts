import { baseName, namedAdapters, type Runtime, type Serving, weights } from "./types.ts";

/**
 * What --max-lora-rank may be, from its default on. A greater one takes more memory, so the smallest that suffices:
 * https://docs.vllm.ai/en/latest/features/lora/#configuring-max_lora_rank. The values are in its source:
 * https://github.com/vllm-project/vllm/blob/v0.11.0/vllm/config/lora.py
 */
const RANKS = [16, 32, 64, 128, 256, 320, 512];

/*
 * Image and /dev/shm: https://docs.vllm.ai/en/latest/deployment/docker/ ("shared memory ... for tensor parallel inference");
 * each release has an image of its name: https://github.com/vllm-project/vllm/releases/tag/v0.11.0
 * Probes on Kubernetes: https://docs.vllm.ai/en/latest/deployment/k8s/
 */
export const vllm: Runtime = {
  maxRank: RANKS.at(-1)!,
  image: () => "docker.io/vllm/vllm-openai:v0.11.0",
  needsGpu: true,
  port: 8000,
  healthPath: "/health",
  command: ["vllm", "serve"],
  // https://docs.vllm.ai/en/latest/cli/serve/, but for what else is named below.
  args: (serving) => [
    weights(serving),
    "--served-model-name",
    baseName(serving),
    "--host",
    "0.0.0.0",
    "--port",
    String(serving.port),
    // One process a GPU; 1 is the default.
    ...(serving.gpus > 1 ? ["--tensor-parallel-size", String(serving.gpus)] : []),
    ...(serving.adapters.length > 0
      ? [
          // https://docs.vllm.ai/en/latest/features/lora/#serving-lora-adapters
          "--enable-lora",
          // How many adapters one batch may mix; all that there are.
          "--max-loras",
          String(serving.adapters.length),
          ...maxLoraRank(serving),
          "--lora-modules",
          ...namedAdapters(serving).map(({ name, folder }) => `${name}=${folder}`),
        ]
      : []),
  ],
  env: () => [
    // What is served lies in the folder: nothing else is fetched, and nobody is told.
    // https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables#hfhuboffline
    { name: "HF_HUB_OFFLINE", value: "1" },
    // https://docs.vllm.ai/en/latest/usage/usage_stats/
    { name: "VLLM_NO_USAGE_STATS", value: "1" },
  ],
  sharedMemory: true,
  // https://docs.vllm.ai/en/latest/usage/metrics/
  metricsPath: "/metrics",
  // https://docs.vllm.ai/en/latest/features/quantization/gguf/: one file, experimentally.
  reads: ["safetensors", "GGUF"],
  clientModel: ({ modelName }) => modelName,
  listedModel: ({ modelName }) => modelName,
};

/** An adapter of a greater rank is refused. */
function maxLoraRank({ adapters }: Serving): string[] {
  const needed = Math.max(...adapters.map(({ rank = 0 }) => rank));
  const allowed = RANKS.find((rank) => rank >= needed);
  return allowed === undefined || allowed === RANKS[0] ? [] : ["--max-lora-rank", String(allowed)];
}
