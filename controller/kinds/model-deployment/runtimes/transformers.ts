import { IMAGES } from "../../images.ts";
import type { Runtime } from "./types.ts";

/*
 * `transformers serve` (https://huggingface.co/docs/transformers/serving) for one model, in the trainer's image:
 * workers/trainer/README.md, section Serving. It runs on a CPU.
 */
export const transformers: Runtime = {
  image: ({ gpus }) => (gpus > 0 ? IMAGES.trainerCuda : IMAGES.trainer),
  port: 8000,
  healthPath: "/health",
  command: ["/opt/trainer/bin/python", "-m", "slipway_trainer.serve"],
  args: ({ folder = "", file, adapters, modelName, port }) => [
    folder,
    ...(file === undefined ? [] : ["--file", file]),
    ...adapters.flatMap((adapter) => ["--adapter", adapter.folder]),
    "--model-name",
    modelName,
    "--host",
    "0.0.0.0",
    "--port",
    String(port),
  ],
  env: () => [
    // PyTorch starts a thread for each of the node's cores, not of the container's.
    { name: "OMP_NUM_THREADS", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
    { name: "HOME", value: "/tmp" },
  ],
  sharedMemory: false,
  metricsPath: "/metrics",
  reads: ["safetensors", "GGUF"],
  clientModel: ({ modelName }) => modelName,
  listedModel: ({ modelName }) => modelName,
};
