import { namedAdapters, type Runtime, weights } from "./types.ts";

/*
 * Arguments: https://huggingface.co/docs/text-generation-inference/reference/launcher
 * Image (3.3.5 is the one that its README runs) and /dev/shm (1 GiB for NCCL):
 * https://huggingface.co/docs/text-generation-inference/installation_nvidia
 * Adapters: https://huggingface.co/docs/text-generation-inference/conceptual/lora
 * Metrics: https://huggingface.co/docs/text-generation-inference/reference/metrics
 */
export const tgi: Runtime = {
  image: () => "ghcr.io/huggingface/text-generation-inference:3.3.5",
  needsGpu: true,
  port: 8080,
  healthPath: "/health",
  command: ["text-generation-launcher"],
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
          "--lora-adapters",
          namedAdapters(serving)
            .map(({ name, folder }) => `${name}=${folder}`)
            .join(","),
        ]
      : []),
  ],
  env: () => [
    { name: "HF_HUB_OFFLINE", value: "1" },
    // https://huggingface.co/docs/text-generation-inference/usage_statistics
    { name: "USAGE_STATS", value: "off" },
  ],
  sharedMemory: true,
  metricsPath: "/metrics",
  reads: ["safetensors"],
  // It has no alias: a model is known by its --model-id, an adapter by its name.
  clientModel: (serving) => (serving.adapted ? serving.modelName : weights(serving)),
  listedModel: weights,
};
