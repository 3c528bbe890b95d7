import { RUNTIMES, type RuntimeName } from "../../../schemas/model-deployment-in-cluster.ts";
import { RUNTIME } from "./runtimes/index.ts";
import type { Missing, TrainedJob } from "./sources.ts";

/**
 * Why a runtime cannot serve what a FineTuneJob made, said before any pod tries; undefined where it can. What others
 * made is not looked into: there its server says so.
 */
export function unservable(runtime: RuntimeName, job: TrainedJob | undefined): Missing | undefined {
  const problem = job && problemOf(runtime, job);
  if (problem === undefined) return undefined;
  const others = RUNTIMES.filter((each) => each !== "Custom" && problemOf(each, job!) === undefined);
  const message = `${problem}; ${others.join(", ")} can serve it`;
  return { reason: "InvalidSpec", message, final: true };
}

function problemOf(runtime: RuntimeName, { metadata, status }: TrainedJob): string | undefined {
  const { maxRank = Number.POSITIVE_INFINITY } = RUNTIME[runtime];
  const { rank = 0 } = status?.artifact ?? {};
  if (rank > maxRank)
    return `the adapter of FineTuneJob ${metadata.name} has rank ${rank}, and ${runtime} loads ${maxRank} at most`;
  return undefined;
}
