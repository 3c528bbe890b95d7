import type { Condition } from "../../../schemas/common.ts";
import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { LABEL_REVISION } from "../../../schemas/kind.ts";
import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { DEFAULT_REPLICAS } from "../../../schemas/model-deployment-in-cluster.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { condition, ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest, EventNote } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { revisionFields } from "../types.ts";
import { evaluateGates, type GateSide, type Gates } from "./gates.ts";
import {
  cacheClaim,
  drainMs,
  imageOf,
  keptService,
  mainService,
  revisionDeployment,
  revisionService,
  startupMs,
} from "./manifests.ts";
import { childName, type Revision, revisionLabel, selectorOf } from "./names.ts";
import { podProgress, podTrouble, startDeadline } from "./pods.ts";
import { type Answering, answering } from "./probing.ts";
import { admitStep, resolveStep } from "./resolving.ts";
import { planRollout, type RolloutPlan, type Stopped } from "./rollout.ts";
import { RUNTIME } from "./runtimes/index.ts";
import { activeOf, addressOf, keptDeployment, type LiveRevision, liveRevisions } from "./served.ts";
import {
  type Missing,
  type PinnedSource,
  servedRevision,
  servingOf,
  type TrainedJob,
  wantedSources,
} from "./sources.ts";

export interface ObservedInCluster {
  readonly deployment: ModelDeployment;
  readonly serviceAccountName: string;
  /** The controller as pods reach it. */
  readonly workUrl: string | undefined;
  readonly jobs: ReadonlyMap<string, TrainedJob>;
  readonly suites: ReadonlyMap<string, EvalSuite>;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  /** What it owns. */
  readonly deployments: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly runs: readonly EvalRun[];
  readonly pods: readonly KubeObject[];
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
}

type InClusterDecision = Decision<ModelDeploymentStatus>;

/** What is there, before anything is decided. */
interface Present {
  readonly live: ReadonlyMap<string, LiveRevision>;
  readonly services: ReadonlyMap<string, KubeObject>;
  readonly main: KubeObject | undefined;
  /** The label of the revision that the Service selects; undefined where that is gone and not wanted either. */
  readonly active: string | undefined;
  readonly switchedAt: string | undefined;
}

/** A model served by pods of this cluster: one Deployment and one Service a revision, and one Service for clients. */
export function decideInCluster(observed: ObservedInCluster, now: Date): InClusterDecision {
  const { deployment, jobs, serviceAccountName, effect } = observed;
  const spec = deployment.spec.inCluster;
  if (!spec) return nothing(stalled("InvalidSpec", "type: InCluster needs the section inCluster"));
  const { name } = deployment.metadata;
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
    const message = `the Service for clients cannot be named ${name}: begin the name with a letter, and use letters, digits and dashes`;
    return nothing(stalled("InvalidSpec", message));
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

function presentOf({ deployment, deployments, services, pods }: ObservedInCluster, wanted?: string): Present {
  const live = liveRevisions(deployments, pods);
  const byName = new Map(services.map((each) => [each.metadata.name, each]));
  const main = byName.get(deployment.metadata.name);
  const { label, switchedAt } = activeOf(main);
  return {
    live,
    services: byName,
    main,
    active: label !== undefined && (live.has(label) || label === wanted) ? label : undefined,
    switchedAt,
  };
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
      ? answering({ address, listed: RUNTIME[spec.runtime].listedModel(of.serving) }, effect, now)
      : undefined;
  effects.push(...(asked?.effects ?? []));
  const gates = changes ? gatesOf(observed, present, of, address) : NO_GATES;
  const trouble = candidate && podTrouble(candidate.pods);
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
    stopped: rememberedStop(deployment, revision, gates),
    trouble,
    switchedAt: present.switchedAt === undefined ? undefined : Date.parse(present.switchedAt),
    drainMs: drainMs(spec),
    now: now.getTime(),
  });
  // Only a revision that is up can be asked; what was asked before is kept until the rollout is over.
  effects.push(...gates.effects);
  const evaluating = plan.phase === "Evaluating" || plan.switches;
  const runs = evaluating ? gates.runs : keptRuns(observed, label);
  const available = availability(observed, present, plan, effects, now);
  const switchedAt = plan.switches || !present.main ? stamp(now) : (present.switchedAt ?? stamp(now));
  return {
    children: [...childrenOf(observed, present, of, plan, switchedAt), ...runs],
    effects,
    status: {
      ...statusOf(observed, present, of, plan),
      ...rolloutStatus(plan, revision, gates, trouble, candidate, asked),
      conditions: conditionsOf({ observed, of, plan, gates, trouble, candidate, asked, available }),
    },
    ...wakeIn([
      plan.waitMs,
      asked?.waitMs,
      available.waitMs,
      plan.phase === "Starting" && deadline !== undefined ? deadline - now.getTime() : undefined,
    ]),
    ...eventsOf(of, plan),
  };
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

const NO_GATES: Gates = { state: { state: "Passed" }, effects: [], runs: [] };

function gatesOf(
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

/** What the status says of this very revision, unless the spec or a person asks for another try. */
function rememberedStop(
  { metadata, status }: ModelDeployment,
  revision: string,
  gates: Gates,
): Stopped | undefined {
  const { rollout, observedGeneration, lastHandledRequestedAt } = status ?? {};
  if (rollout?.phase !== "Blocked" || rollout.revision !== revision) return undefined;
  if (observedGeneration !== metadata.generation) return undefined;
  const asked = requestedAt({ metadata } as never);
  if (asked !== undefined && asked !== lastHandledRequestedAt) return undefined;
  // A gate's verdict is read anew; until its run is known, it holds.
  const runKnown = gates.state.state === "Pending" && gates.runs.length > 0;
  if (rollout.reason === "GateFailed" && (runKnown || gates.state.state === "Passed")) return undefined;
  return { reason: rollout.reason, message: rollout.message };
}

function childrenOf(
  { deployment }: ObservedInCluster,
  present: Present,
  of: Revision,
  plan: RolloutPlan,
  switchedAt: string,
): KubeObject[] {
  const { spec, revision } = of;
  const label = revisionLabel(revision);
  const claim = cacheClaim(deployment, spec);
  const children = claim ? [claim] : [];
  for (const [each, replicas] of plan.replicas) {
    if (each === label) {
      children.push(revisionDeployment(of, replicas), revisionService(deployment, revision));
      continue;
    }
    const live = present.live.get(each);
    if (!live) continue;
    children.push(keptDeployment(live, replicas));
    if (live.served) children.push(revisionService(deployment, live.served.revision));
  }
  if (plan.serve === label) children.push(mainService(deployment, revision, switchedAt));
  // Its address stays, also where nothing is behind it any more.
  else if (present.main) children.push(keptService(present.main));
  return children;
}

/** Runs of what serves, as a record of why it may. */
function keptRuns({ runs }: ObservedInCluster, label: string): KubeObject[] {
  return runs.filter(({ metadata }) => metadata.labels?.[LABEL_REVISION] === label).map(keptRun);
}

function keptRun({ apiVersion, kind, metadata: { name, labels = {} }, spec }: EvalRun): KubeObject {
  return { apiVersion, kind, metadata: { name, labels: ownLabels(labels) }, spec };
}

function ownLabels(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => key === LABEL_REVISION || key === "slipway.dev/repository"),
  );
}

interface Available {
  readonly condition: Condition | undefined;
  readonly ok: boolean;
  readonly reason: string;
  readonly message: string;
  readonly waitMs: number | undefined;
}

/** Whether clients are answered now, by whatever serves. */
function availability(
  { deployment, effect }: ObservedInCluster,
  present: Present,
  plan: RolloutPlan,
  effects: EffectRequest[],
  now: Date,
): Available {
  const serves = present.active === undefined ? undefined : present.live.get(present.active);
  const address = addressOf(present.main);
  if (!serves?.served || address === undefined) {
    const text = plan.switches ? "the Service is being made" : "no revision serves yet";
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
  const asked = answering({ address, listed: serves.served.listed }, effect, now);
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

function statusOf(
  observed: ObservedInCluster,
  present: Present,
  of: Revision,
  plan: RolloutPlan,
): ModelDeploymentStatus {
  const { sources, revision } = of;
  const open = sources.filter(({ reference, resolved }) => reference !== resolved);
  return {
    ...servingStatus(observed, present, plan.switches ? undefined : present.active, revision),
    ...(open.length > 0 ? { resolved: open.map(recordOf) } : {}),
  };
}

const recordOf = ({ name, reference, resolved }: PinnedSource) => ({ name, source: reference, resolved });

/** What is true of the serving revision; of the wanted one as long as none serves. */
function servingStatus(
  { deployment }: ObservedInCluster,
  { live, services, active }: Present,
  label: string | undefined,
  wanted: string | undefined,
): ModelDeploymentStatus {
  const serves = live.get(label ?? active ?? "");
  const served = serves?.served;
  const shown = served?.revision ?? wanted;
  const address = served && addressOf(services.get(childName(deployment, served.revision)));
  const { name, namespace } = deployment.metadata;
  const counted = serves ?? (wanted === undefined ? undefined : live.get(revisionLabel(wanted)));
  return {
    ...revisionFields(shown),
    replicas: {
      desired: deployment.spec.inCluster?.replicas ?? DEFAULT_REPLICAS,
      current: counted?.current ?? 0,
      ready: counted?.ready ?? 0,
    },
    ...(shown === undefined
      ? {}
      : {
          selector: Object.entries(selectorOf(deployment, shown))
            .map(([key, value]) => `${key}=${value}`)
            .join(","),
        }),
    ...(served
      ? {
          active: served.revision,
          endpoint: {
            url: `http://${name}.${namespace}.svc/v1`,
            model: served.model,
            ...(address === undefined ? {} : { address }),
          },
        }
      : {}),
  };
}

function rolloutStatus(
  plan: RolloutPlan,
  revision: string,
  gates: Gates,
  trouble: Missing | undefined,
  candidate: LiveRevision | undefined,
  asked: Answering | undefined,
): Pick<ModelDeploymentStatus, "rollout"> {
  if (plan.phase === "Serving") return {};
  const { reason, message } = plan.stopped ?? why(plan, gates, trouble, candidate, asked);
  return { rollout: { revision, phase: plan.phase, reason, message: message.slice(0, 2_000) } };
}

/** What a rollout waits for. */
function why(
  plan: RolloutPlan,
  gates: Gates,
  trouble: Missing | undefined,
  candidate: LiveRevision | undefined,
  asked: Answering | undefined,
): Stopped {
  if (plan.phase === "Evaluating" && gates.state.state === "Pending") return gates.state;
  if (trouble) return trouble;
  if (asked?.ok === false) return asked;
  return { reason: "Starting", message: podProgress(candidate?.pods ?? []) };
}

interface Told {
  readonly observed: ObservedInCluster;
  readonly of: Revision;
  readonly plan: RolloutPlan;
  readonly gates: Gates;
  readonly trouble: Missing | undefined;
  readonly candidate: LiveRevision | undefined;
  readonly asked: Answering | undefined;
  readonly available: Available;
}

function conditionsOf({ of, plan, gates, trouble, candidate, asked, available }: Told): Condition[] {
  const short = of.revision.slice(0, 12);
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
  const { reason, message } = why(plan, gates, trouble, candidate, asked);
  return [...reconciling(reason, `revision ${short}: ${message}`), ...beside];
}

function eventsOf({ revision }: Revision, plan: RolloutPlan): { events?: EventNote[] } {
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

/** Something is not known yet: everything stays as it is, and what serves goes on being watched. */
function holding(
  observed: ObservedInCluster,
  present: Present,
  { reason, message, final = false }: Missing,
  before: readonly EffectRequest[],
  now: Date,
  waitMs?: number,
): InClusterDecision {
  const { deployment, runs } = observed;
  const effects = [...before];
  const idle: RolloutPlan = {
    serve: present.active,
    replicas: new Map(),
    phase: "Starting",
    switches: false,
    comparable: false,
  };
  const available = availability(observed, present, idle, effects, now);
  const spec = deployment.spec.inCluster;
  const claim = spec && cacheClaim(deployment, spec);
  const desired = spec?.replicas ?? DEFAULT_REPLICAS;
  const children = [...present.live.values()].flatMap((live) => [
    keptDeployment(live, live.label === present.active ? desired : live.replicas),
    ...(live.served ? [revisionService(deployment, live.served.revision)] : []),
  ]);
  return {
    children: [
      ...(claim ? [claim] : []),
      ...children,
      ...(present.main ? [keptService(present.main)] : []),
      ...runs.map(keptRun),
    ],
    effects,
    status: {
      ...servingStatus(observed, present, present.active, undefined),
      ...(deployment.status?.resolved ? { resolved: deployment.status.resolved } : {}),
      conditions: [
        ...(final ? stalled(reason, message) : reconciling(reason, message)),
        ...(available.condition ? [available.condition] : []),
      ],
    },
    ...wakeIn([waitMs, available.waitMs]),
    ...(final ? { events: [{ type: "Warning" as const, reason, note: message }] } : {}),
  };
}

function nothing(conditions: Condition[]): InClusterDecision {
  return { children: [], effects: [], status: { conditions } };
}

function wakeIn(waits: readonly (number | undefined)[]): { requeueAfterMs?: number } {
  const known = waits.filter((wait) => wait !== undefined);
  return known.length === 0 ? {} : { requeueAfterMs: Math.max(50, Math.min(...known)) };
}

const stamp = (now: Date) => now.toISOString();
