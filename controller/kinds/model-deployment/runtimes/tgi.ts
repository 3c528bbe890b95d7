import { namedAdapters, type Runtime, weights } from "./types.ts";

/*
 * Image (3.3.5 is the one that its README runs) and /dev/shm (1 GiB for NCCL):
 * https://huggingface.co/docs/text-generation-inference/installation_nvidia
 */
export const tgi: Runtime = {
  image: () => "ghcr.io/huggingface/text-generation-inference:3.3.5",
  needsGpu: true,
  port: 8080,
  healthPath: "/health",
  command: ["text-generation-launcher"],
  // https://huggingface.co/docs/text-generation-inference/reference/launcher, but for what else is named below.
  args: (serving) => [
    "--model-id",
    weights(serving),
    "--hostname",
    "0.0.0.0",
    // The image's own is 80, which needs a capability.
    "--port",
    String(serving.port),
    // By default it takes all GPUs that it sees.
    ...(serving.gpus > 0 ? ["--num-shard", String(serving.gpus)] : []),
    ...(serving.adapters.length > 0
      ? [
          // Also by LORA_ADAPTERS; adapter-name=/path/to/adapter where it lies in a folder, of any rank:
          // https://huggingface.co/docs/text-generation-inference/conceptual/lora#specifying-lora-models
          "--lora-adapters",
          namedAdapters(serving)
            .map(({ name, folder }) => `${name}=${folder}`)
            .join(","),
        ]
      : []),
  ],
  env: () => [
    // https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables#hfhuboffline
    { name: "HF_HUB_OFFLINE", value: "1" },
    // https://huggingface.co/docs/text-generation-inference/usage_statistics
    { name: "USAGE_STATS", value: "off" },
  ],
  sharedMemory: true,
  // https://huggingface.co/docs/text-generation-inference/reference/metrics
  metricsPath: "/metrics",
  reads: ["safetensors"],
  // It has no alias: a model is known by its --model-id, an adapter by its name, as `model` of an OpenAI client too:
  // https://github.com/huggingface/text-generation-inference/blob/v3.3.5/router/src/lib.rs
  clientModel: (serving) => (serving.adapted ? serving.modelName : weights(serving)),
  listedModel: weights,
};
