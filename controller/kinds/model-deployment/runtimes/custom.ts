import { type Runtime, weights } from "./types.ts";

/**
 * Any OpenAI-compatible server. What it needs to know is in its environment; `$(NAME)` in command and args is replaced
 * by Kubernetes.
 */
export const custom: Runtime = {
  image: () => "",
  port: 8000,
  healthPath: "/health",
  command: [],
  args: () => [],
  env: (serving) => [
    { name: "SLIPWAY_MODEL_NAME", value: serving.modelName },
    { name: "SLIPWAY_PORT", value: String(serving.port) },
    ...(serving.folder === undefined ? [] : [{ name: "SLIPWAY_MODEL", value: weights(serving) }]),
    ...(serving.adapters.length === 0
      ? []
      : [
          {
            name: "SLIPWAY_ADAPTERS",
            value: serving.adapters.map(({ name, folder }) => `${name}=${folder}`).join(","),
          },
        ]),
  ],
  sharedMemory: true,
  reads: ["safetensors", "GGUF"],
  clientModel: ({ modelName }) => modelName,
  listedModel: ({ modelName }) => modelName,
};
