import {
  type InCluster,
  RUNTIMES,
  type RuntimeName,
  SINGLE,
} from "../../../schemas/model-deployment-in-cluster.ts";
import { RUNTIME } from "./runtimes/index.ts";
import type { Missing, TrainedJob } from "./sources.ts";

/** As the model it brings its base along; as an adapter it is put on the spec's own. */
export type Use = "model" | "adapter";

/**
 * Why a deployment's runtime cannot serve what a FineTuneJob makes, said before any pod tries and where possible before
 * it is made; undefined where it can. What others made is not looked into: there its server says so.
 */
export function unservable(
  { runtime, adapters }: Pick<InCluster, "runtime" | "adapters">,
  job: TrainedJob,
  use: Use,
): Missing | undefined {
  const { name } = job.metadata;
  if (job.spec.backend === "openai")
    return invalid(`FineTuneJob ${name} trains at a provider, which serves what it made: use type: External`);
  const problem = problemOf(runtime, job, use);
  if (problem === undefined) return undefined;
  const others = RUNTIMES.filter(
    (each) =>
      each !== "Custom" &&
      problemOf(each, job, use) === undefined &&
      !(SINGLE.includes(each) && adapters.length > 1),
  );
  const remedy = others.length > 0 ? `these can serve it: ${others.join(", ")}` : "use runtime: Custom";
  return invalid(`${problem}; ${remedy}`);
}

function problemOf(runtime: RuntimeName, job: TrainedJob, use: Use): string | undefined {
  const { spec, status } = job;
  const { reads, maxRank = Number.POSITIVE_INFINITY } = RUNTIME[runtime];
  const what = `FineTuneJob ${job.metadata.name}`;
  if (!reads.includes("safetensors")) return `${what} makes safetensors, and ${runtime} reads GGUF`;
  const { type = spec.adapter ? "adapter" : "model", rank = spec.adapter?.r ?? 0 } = status?.artifact ?? {};
  const { file } = spec.baseModel;
  if (use === "model" && type === "adapter" && file !== undefined && !reads.includes("GGUF"))
    return `${what} makes an adapter on the GGUF file ${file}, and ${runtime} reads safetensors`;
  if (type === "adapter" && rank > maxRank)
    return `${what} makes an adapter of rank ${rank}, and ${runtime} loads ${maxRank} at most`;
  return undefined;
}

const invalid = (message: string): Missing => ({ reason: "InvalidSpec", message, final: true });
