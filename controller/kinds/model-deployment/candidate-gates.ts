import { evaluateGates, type GateSide, type Gates } from "./gates.ts";
import { childName, type Revision } from "./names.ts";
import type { ObservedInCluster, Present } from "./present.ts";
import { RUNTIME } from "./runtimes/index.ts";
import { addressOf } from "./served.ts";

export const NO_GATES: Gates = { state: { state: "Passed" }, effects: [], runs: [] };

export function gatesOf(
  observed: ObservedInCluster,
  present: Present,
  { deployment, spec, revision, serving }: Revision,
  address: string | undefined,
): Gates {
  const names = (spec.rollout?.gates ?? []).map(({ suiteRef }) => suiteRef.name);
  if (names.length === 0) return NO_GATES;
  if (address === undefined) {
    const state = {
      state: "Pending",
      reason: "Starting",
      message: "its Service has no address yet",
    } as const;
    return { state, effects: [], runs: [] };
  }
  const head: GateSide = {
    spec: deployment.spec,
    revision,
    endpoint: { baseURL: address, model: RUNTIME[spec.runtime].clientModel(serving) },
  };
  // Recreate has stopped it: there is nothing to compare with.
  const base = spec.rollout?.strategy === "Recreate" ? undefined : baseSide(observed, present);
  return evaluateGates({ ...observed, gates: names, head, base });
}

function baseSide(
  { deployment }: ObservedInCluster,
  { active, live, services }: Present,
): GateSide | undefined {
  const served = active === undefined ? undefined : live.get(active)?.served;
  const address = served && addressOf(services.get(childName(deployment, served.revision)));
  if (!served || address === undefined) return undefined;
  return {
    spec: deployment.spec,
    revision: served.revision,
    endpoint: { baseURL: address, model: served.model },
  };
}
