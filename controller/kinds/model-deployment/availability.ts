import type { Condition } from "../../../schemas/common.ts";
import { condition } from "../../runtime/conditions.ts";
import type { EffectRequest } from "../../runtime/kind.ts";
import { podProgress, podTrouble } from "./pods.ts";
import type { ObservedInCluster, Present } from "./present.ts";
import { answering } from "./probing.ts";
import { addressOf, type LiveRevision } from "./served.ts";

export interface Available {
  readonly condition: Condition | undefined;
  readonly ok: boolean;
  readonly reason: string;
  readonly message: string;
  readonly waitMs: number | undefined;
}

/**
 * Whether clients are answered now, by whatever serves.
 * @param switches the Service moves with this decision
 * @param effects what is asked for this is added
 */
export function availability(
  { deployment, effect }: ObservedInCluster,
  present: Present,
  switches: boolean,
  effects: EffectRequest[],
  now: Date,
): Available {
  const serves = present.active === undefined ? undefined : present.live.get(present.active);
  const address = addressOf(present.main);
  if (!serves?.served || address === undefined) {
    const text = switches ? "the Service is being made" : "no revision serves yet";
    return { condition: undefined, ok: false, reason: "NotServing", message: text, waitMs: undefined };
  }
  if (serves.ready === 0) {
    const trouble = podTrouble(serves.pods);
    const zero = serves.replicas === 0;
    const reason = trouble?.reason ?? (zero ? "ScaledToZero" : "NoPodReady");
    const message =
      trouble?.message ?? (zero ? "replicas is 0" : `no pod is ready: ${podProgress(serves.pods)}`);
    return unavailable(reason, message);
  }
  const asked = answering(address, serves.served, effect, now);
  effects.push(...asked.effects);
  const said = deployment.status?.conditions?.find(({ type }) => type === "Available");
  // Asking again, or for the first time in this process, says nothing new.
  if (asked.ok === undefined && said?.status === "True") return availableOn(serves, asked.waitMs);
  if (asked.ok === true) return availableOn(serves, asked.waitMs);
  return { ...unavailable(asked.reason, asked.message), waitMs: asked.waitMs };
}

function availableOn({ served, ready: pods, replicas }: LiveRevision, waitMs: number | undefined): Available {
  const message = `${served?.model} answers, on ${pods} of ${replicas} pods`;
  const said = condition("Available", "True", "EndpointAnswers", message);
  return { condition: said, ok: true, reason: "EndpointAnswers", message, waitMs };
}

function unavailable(reason: string, message: string): Available {
  const said = condition("Available", "False", reason, message);
  return { condition: said, ok: false, reason, message, waitMs: undefined };
}
