import type { InCluster } from "../../../schemas/model-deployment-in-cluster.ts";
import { imageOf } from "./manifests.ts";
import { RUNTIME } from "./runtimes/index.ts";
import type { Missing } from "./sources.ts";

/**
 * A crash with what is most likely behind it. Not refused beforehand: a node may give its GPUs to pods that do not ask.
 */
export function withoutGpu(trouble: Missing | undefined, spec: InCluster): Missing | undefined {
  const { runtime, image, gpu } = spec;
  if (trouble?.reason !== "ServerCrashed" || !RUNTIME[runtime].needsGpu || image || gpu) return trouble;
  const hint = `${imageOf(spec)} needs a GPU and gpu is not set: set gpu.count, or an image for what the nodes have`;
  return { ...trouble, message: `${hint}; ${trouble.message}` };
}
