import { type Runtime, weights } from "./types.ts";

/** An adapter's file, where it is not named: what llama.cpp's convert_lora_to_gguf.py is usually told to write. */
const ADAPTER_FILE = "adapter.gguf";

/*
 * Images: https://github.com/ggml-org/llama.cpp/blob/master/docs/docker.md. Not each build gets one; of b9191 both are
 * used elsewhere: server by Apache ShardingSphere's tests (test/e2e/mcp), server-cuda by others at
 * sha256:cb375311f4170bb1aa18840e946f64f99e6094b90bde69dcb6e0a62a183d7ba3.
 */
export const llamaCpp: Runtime = {
  image: ({ gpus }) => `ghcr.io/ggml-org/llama.cpp:${gpus > 0 ? "server-cuda-b9191" : "server-b9191"}`,
  port: 8080,
  // It answers 503 while the model loads, then 200:
  // https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#api-endpoints
  healthPath: "/health",
  command: ["/app/llama-server"],
  // https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#usage
  args: (serving) => [
    "--model",
    weights(serving),
    // Reported by /v1/models, in place of the file's path.
    "--alias",
    serving.modelName,
    "--host",
    "0.0.0.0",
    "--port",
    String(serving.port),
    // Off unless asked for.
    "--metrics",
    ...(serving.gpus > 0 ? ["--n-gpu-layers", "999"] : []),
    // Layers over the GPUs one after the other, which is the documented default; said, so that it stays.
    ...(serving.gpus > 1 ? ["--split-mode", "layer"] : []),
    ...serving.adapters.flatMap(({ folder, file = ADAPTER_FILE }) => ["--lora", `${folder}/${file}`]),
  ],
  // One process with threads: no shared memory.
  sharedMemory: false,
  metricsPath: "/metrics",
  reads: ["GGUF"],
  clientModel: ({ modelName }) => modelName,
  listedModel: ({ modelName }) => modelName,
};
