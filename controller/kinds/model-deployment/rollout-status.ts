import type { Condition } from "../../../schemas/common.ts";
import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { digestOf } from "../../graph/canonical.ts";
import { condition, ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { EventNote } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { withoutReplicas } from "../eval-suite/bundle-input.ts";
import type { Available } from "./availability.ts";
import type { Gates } from "./gates.ts";
import { podProgress } from "./pods.ts";
import type { Answering } from "./probing.ts";
import type { RolloutPlan, Stopped } from "./rollout.ts";
import type { LiveRevision } from "./served.ts";
import type { Missing } from "./sources.ts";

/** A rollout as far as it was decided, for those who read of it. */
interface RolloutProgress {
  readonly deployment: ModelDeployment;
  readonly revision: string;
  readonly plan: RolloutPlan;
  readonly gates: Gates;
  readonly trouble: Missing | undefined;
  readonly candidate: LiveRevision | undefined;
  readonly asked: Answering | undefined;
}

export function rolloutStatus(progress: RolloutProgress): Pick<ModelDeploymentStatus, "rollout"> {
  const { plan, revision, deployment } = progress;
  if (plan.phase === "Serving") return {};
  const { reason, message } = plan.stopped ?? why(progress);
  const tried = plan.stopped ? { tried: triedSpec(deployment) } : {};
  return { rollout: { revision, phase: plan.phase, reason, message: message.slice(0, 2_000), ...tried } };
}

/** An edit of anything but the replicas, such as more memory or time, may mend what was stopped. */
function triedSpec({ spec }: ModelDeployment): string {
  return digestOf(withoutReplicas(spec));
}

/** What a rollout waits for. */
function why({ plan, gates, trouble, candidate, asked }: RolloutProgress): Stopped {
  if (plan.phase === "Evaluating" && gates.state.state === "Pending") return gates.state;
  if (trouble) return trouble;
  if (asked?.ok === false) return asked;
  return { reason: "Starting", message: podProgress(candidate?.pods ?? []) };
}

export function conditionsOf(progress: RolloutProgress, available: Available): Condition[] {
  const { plan, revision } = progress;
  const short = revision.slice(0, 12);
  const beside = available.condition ? [available.condition] : [];
  if (plan.phase === "Blocked" && plan.stopped) {
    const { reason, message } = plan.stopped;
    const rest = plan.serve === undefined ? "nothing serves" : "what served before goes on serving";
    const text = `revision ${short} was stopped: ${message}; ${rest}`;
    return [
      ...stalled("RolloutBlocked", `${reason}: ${text}`),
      condition("RolloutBlocked", "True", reason, text),
      ...beside,
    ];
  }
  if (plan.phase === "Serving" && !plan.switches) {
    if (available.ok) return [...ready("EndpointAnswers", available.message), ...beside];
    return [...reconciling(available.reason, available.message), ...beside];
  }
  if (plan.switches) return [...reconciling("Switching", `revision ${short} takes over`), ...beside];
  const { reason, message } = why(progress);
  return [...reconciling(reason, `revision ${short}: ${message}`), ...beside];
}

export function eventsOf({ revision, plan }: RolloutProgress): { events?: EventNote[] } {
  const short = revision.slice(0, 12);
  if (plan.switches) {
    return { events: [{ type: "Normal", reason: "RolledOut", note: `revision ${short} gets the traffic` }] };
  }
  if (plan.phase === "Blocked" && plan.stopped) {
    const note = `revision ${short} was stopped: ${plan.stopped.message}`;
    return { events: [{ type: "Warning", reason: "RolloutBlocked", note }] };
  }
  return {};
}

/** What the status says of this very revision, unless the spec or a person asks for another try. */
export function rememberedStop(
  deployment: ModelDeployment,
  revision: string,
  gates: Gates,
): Stopped | undefined {
  const { rollout, lastHandledRequestedAt } = deployment.status ?? {};
  if (rollout?.phase !== "Blocked" || rollout.revision !== revision) return undefined;
  if (rollout.tried !== triedSpec(deployment)) return undefined;
  const asked = requestedAt(deployment as never);
  if (asked !== undefined && asked !== lastHandledRequestedAt) return undefined;
  // A gate's verdict is read anew; until its run is known, it holds.
  const runKnown = gates.state.state === "Pending" && gates.runs.length > 0;
  if (rollout.reason === "GateFailed" && (runKnown || gates.state.state === "Passed")) return undefined;
  return { reason: rollout.reason, message: rollout.message };
}
