import { baseName, namedAdapters, type Runtime, weights } from "./types.ts";

/*
 * Image, /dev/shm and probes: https://docs.sglang.io/references/multi_node_deployment/deploy_on_k8s.html
 * Its tag v0.5.4, for all GPUs: https://github.com/sgl-project/sglang/releases/tag/v0.5.4
 * Clients name an adapter base:adapter since that release: https://github.com/sgl-project/sglang/pull/11570. An earlier
 * one takes no notice of what follows the colon, and lets the base answer.
 */
export const sglang: Runtime = {
  image: () => "docker.io/lmsysorg/sglang:v0.5.4",
  needsGpu: true,
  port: 30_000,
  healthPath: "/health",
  command: ["python3", "-m", "sglang.launch_server"],
  // https://docs.sglang.io/advanced_features/server_arguments.html, but for what else is named below.
  args: (serving) => [
    "--model-path",
    weights(serving),
    "--served-model-name",
    baseName(serving),
    // It listens on 127.0.0.1 unless told.
    "--host",
    "0.0.0.0",
    "--port",
    String(serving.port),
    // https://docs.sglang.io/references/production_metrics.html: off unless asked for.
    "--enable-metrics",
    ...(serving.gpus > 1 ? ["--tp-size", String(serving.gpus)] : []),
    ...(serving.adapters.length > 0
      ? [
          // https://docs.sglang.io/advanced_features/lora.html; the greatest rank and the layers are read from the paths.
          "--enable-lora",
          "--lora-paths",
          ...namedAdapters(serving).map(({ name, folder }) => `${name}=${folder}`),
        ]
      : []),
  ],
  // https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables#hfhuboffline
  env: () => [{ name: "HF_HUB_OFFLINE", value: "1" }],
  sharedMemory: true,
  metricsPath: "/metrics",
  // Its layers for GGUF are those of vLLM (srt/layers/quantization/__init__.py), which it does not bring along.
  reads: ["safetensors"],
  clientModel: (serving) =>
    serving.adapted ? `${baseName(serving)}:${serving.modelName}` : serving.modelName,
  // Releases differ in whether they list adapters; the base is always there.
  listedModel: baseName,
  // No adapter's name begins with an underscore.
  absentModel: (serving) => (serving.adapters.length > 0 ? `${baseName(serving)}:_none_` : undefined),
};
