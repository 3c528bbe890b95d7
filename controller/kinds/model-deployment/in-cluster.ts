import { DEFAULT_REPLICAS } from "../../../schemas/model-deployment-in-cluster.ts";
import { revisionOf } from "../../graph/graph.ts";
import { stalled } from "../../runtime/conditions.ts";
import type { EffectRequest } from "../../runtime/kind.ts";
import { availability } from "./availability.ts";
import { gatesOf, NO_GATES } from "./candidate-gates.ts";
import { childrenOf, keptClaim, keptRuns } from "./children.ts";
import { holding, wakeIn } from "./holding.ts";
import { drainMs, imageOf, servedOf, startupMs } from "./manifests.ts";
import { childName, type Revision, revisionLabel } from "./names.ts";
import { podTrouble, startDeadline } from "./pods.ts";
import { type InClusterDecision, type ObservedInCluster, type Present, presentOf } from "./present.ts";
import { type Answering, answering } from "./probing.ts";
import { admitStep, resolveStep } from "./resolving.ts";
import { planRollout, type Stopped } from "./rollout.ts";
import { conditionsOf, eventsOf, rememberedStop, rolloutStatus } from "./rollout-status.ts";
import { addressOf, type LiveRevision } from "./served.ts";
import { resolvedStatus, servingStatus } from "./serving-status.ts";
import { type Missing, servedRevision, servingOf, wantedSources } from "./sources.ts";
import { withoutGpu } from "./without-gpu.ts";

/** A model served by pods of this cluster: one Deployment and one Service a revision, and one Service for clients. */
export function decideInCluster(observed: ObservedInCluster, now: Date): InClusterDecision {
  const { deployment, jobs, serviceAccountName, effect } = observed;
  const spec = deployment.spec.inCluster;
  if (!spec) return invalid("type: InCluster needs the section inCluster");
  const { name } = deployment.metadata;
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
    const message = `the Service for clients cannot be named ${name}: begin the name with a letter, and use letters, digits and dashes`;
    return invalid(message);
  }
  const present = presentOf(observed);
  const wanted = wantedSources(spec, name, jobs);
  if ("missing" in wanted) return holding(observed, present, wanted.missing, [], now);
  const resolved = resolveStep(deployment, serviceAccountName, wanted.sources, effect, now);
  if (!("done" in resolved))
    return holding(observed, present, resolved, resolved.effects, now, resolved.waitMs);
  const sources = resolved.done;
  const specRevision = revisionOf(deployment, ({ kind, name: job }) =>
    kind === "FineTuneJob" ? jobs.get(job)?.status?.artifact?.digest : undefined,
  );
  if (specRevision === undefined) {
    const missing = { reason: "Unresolved", message: "what it is made from is not there yet" };
    return holding(observed, present, missing, resolved.effects, now);
  }
  const revision = servedRevision(specRevision, imageOf(spec), sources);
  const serving = servingOf(spec, name, wanted, sources);
  const of: Revision = { deployment, spec, revision, serving, sources, workUrl: observed.workUrl };
  return rollOut(observed, presentOf(observed, revisionLabel(revision)), of, resolved.effects, now);
}

/** Brings the wanted revision up, has it judged, and moves the Service; see rollout.ts. */
function rollOut(
  observed: ObservedInCluster,
  present: Present,
  of: Revision,
  before: readonly EffectRequest[],
  now: Date,
): InClusterDecision {
  const { deployment, serviceAccountName, effect } = observed;
  const { spec, revision, sources } = of;
  const label = revisionLabel(revision);
  const candidate = present.live.get(label);
  const changes = label !== present.active;
  const effects = [...before];
  if (!candidate) {
    const refused = refusal(of);
    if (refused) return holding(observed, present, refused, effects, now);
    const admitted = admitStep(deployment, serviceAccountName, revision, sources, effect, now);
    effects.push(...admitted.effects);
    if (!("done" in admitted)) return holding(observed, present, admitted, effects, now, admitted.waitMs);
  }
  const address = addressOf(present.services.get(childName(deployment, revision)));
  const asked =
    changes && candidate && candidate.ready > 0 && address !== undefined
      ? answering(address, servedOf(of), effect, now)
      : undefined;
  effects.push(...(asked?.effects ?? []));
  const gates = changes ? gatesOf(observed, present, of, address) : NO_GATES;
  const trouble = candidate && withoutGpu(podTrouble(candidate.pods), spec);
  const deadline = changes && candidate ? startDeadline(candidate.pods, startupMs(spec)) : undefined;
  const plan = planRollout({
    wanted: label,
    active: present.active,
    strategy: spec.rollout?.strategy ?? "BlueGreen",
    desired: spec.replicas ?? DEFAULT_REPLICAS,
    revisions: withDeadline(present.live, candidate, deadline, now),
    answers: asked?.ok === true,
    hasGates: (spec.rollout?.gates ?? []).length > 0,
    gates: gates.state,
    stopped: rememberedStop(deployment, revision, gates) ?? ignoredAdapter(asked),
    trouble,
    switchedAt: present.switchedAt === undefined ? undefined : Date.parse(present.switchedAt),
    drainMs: drainMs(spec),
    now: now.getTime(),
  });
  // Only a revision that is up can be asked; what was asked before is kept until the rollout is over.
  effects.push(...gates.effects);
  const evaluating = plan.phase === "Evaluating" || plan.switches;
  const runs = evaluating ? gates.runs : keptRuns(observed, label);
  const available = availability(observed, present, plan.switches, effects, now);
  const switchedAt =
    plan.switches || !present.main ? now.toISOString() : (present.switchedAt ?? now.toISOString());
  const progress = { deployment, revision, plan, gates, trouble, candidate, asked };
  return {
    children: [...childrenOf(observed, present, of, plan, switchedAt), ...runs],
    ...keptClaim(observed, present),
    effects,
    status: {
      ...servingStatus(observed, present, plan.switches ? undefined : present.active, revision),
      ...resolvedStatus(sources),
      ...rolloutStatus(progress),
      conditions: conditionsOf(progress, available),
    },
    ...wakeIn([
      plan.waitMs,
      asked?.waitMs,
      available.waitMs,
      plan.phase === "Starting" && deadline !== undefined ? deadline - now.getTime() : undefined,
    ]),
    ...eventsOf(progress),
  };
}

/** Asking again does not help where the base answers in an adapter's place: another image does. */
function ignoredAdapter(asked: Answering | undefined): Stopped | undefined {
  return asked?.reason === "AdapterIgnored" ? { reason: asked.reason, message: asked.message } : undefined;
}

/** The revision that comes up has had its time, and not one of its pods is ready. */
function withDeadline(
  live: ReadonlyMap<string, LiveRevision>,
  candidate: LiveRevision | undefined,
  deadline: number | undefined,
  now: Date,
): ReadonlyMap<string, LiveRevision> {
  if (!candidate || deadline === undefined || candidate.ready > 0 || now.getTime() < deadline) return live;
  return new Map([...live, [candidate.label, { ...candidate, exhausted: true }]]);
}

/** Why a revision's pods cannot be made at all. */
function refusal({ sources, workUrl }: Revision): Missing | undefined {
  if (workUrl !== undefined || !sources.some(({ resolved }) => resolved.startsWith("artifact:")))
    return undefined;
  const message = "pods are not told where this controller is: start it with --work-url";
  return { reason: "NoWorkUrl", message, final: true };
}

function invalid(message: string): InClusterDecision {
  return { children: [], effects: [], status: { conditions: stalled("InvalidSpec", message) } };
}
