import { reconciling, stalled } from "../../runtime/conditions.ts";
import type { EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { availability } from "./availability.ts";
import { heldChildren, keptClaim } from "./children.ts";
import type { InClusterDecision, ObservedInCluster, Present } from "./present.ts";
import { servingStatus } from "./serving-status.ts";
import type { Missing } from "./sources.ts";

/** Something is not known yet: everything stays as it is, and what serves goes on being watched. */
export function holding(
  observed: ObservedInCluster,
  present: Present,
  { reason, message, final = false }: Missing,
  before: readonly EffectRequest[],
  now: Date,
  waitMs?: number,
): InClusterDecision {
  const { deployment } = observed;
  const { status } = deployment;
  const asked = requestedAt(deployment as never);
  // Until a person's request for another look is met, the former answer is not written again: the request itself counts
  // as handled with this status, and would be lost with the process.
  const lookAgain = asked !== undefined && asked !== status?.lastHandledRequestedAt;
  const effects = [...before];
  const available = availability(observed, present, false, effects, now);
  return {
    children: heldChildren(observed, present),
    ...keptClaim(observed, present),
    effects,
    status: {
      ...servingStatus(observed, present, present.active, undefined),
      ...(status?.resolved && !lookAgain ? { resolved: status.resolved } : {}),
      conditions: [
        ...(final ? stalled(reason, message) : reconciling(reason, message)),
        ...(available.condition ? [available.condition] : []),
      ],
    },
    ...wakeIn([waitMs, available.waitMs]),
    ...(final ? { events: [{ type: "Warning" as const, reason, note: message }] } : {}),
  };
}

/** The earliest of what is waited for. */
export function wakeIn(waits: readonly (number | undefined)[]): { requeueAfterMs?: number } {
  const known = waits.filter((wait) => wait !== undefined);
  return known.length === 0 ? {} : { requeueAfterMs: Math.max(50, Math.min(...known)) };
}
