import type { EvalRun } from "../../../../schemas/eval-run.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import type { ActionStatus, Monitor } from "../../../../schemas/monitor.ts";
import type { MonitorAction } from "../../../../schemas/monitor-actions.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import type { EffectOutcome, EffectRequest, EventNote } from "../../../runtime/kind.ts";
import { nextAttempt } from "../attempts.ts";
import { alertmanagerPlan } from "./alertmanager.ts";
import { rulePlan } from "./prometheus-rule.ts";
import { pullRequestPlan } from "./pull-request.ts";
import { webhookPlan } from "./webhook.ts";

/** One call that an action wants made now. Everything in it comes from the status as it was written. */
export interface ActionPlan {
  readonly effect: string;
  readonly input: object;
  readonly durable: boolean;
  /** Made again this often, ms; absent: made once. */
  readonly everyMs?: number;
  /** The transition that it tells of. */
  readonly transition?: number;
}

/** What the actions came to. */
export interface ActionsDecision {
  readonly effects: readonly EffectRequest[];
  readonly statuses: readonly ActionStatus[];
  readonly events: readonly EventNote[];
  readonly waitMs: number;
}

/** After so many attempts, about ten minutes, a transition is given up. */
const MAX_ATTEMPTS = 25;
const FAILED_RETRY_MS = 10_000;
/** Soon enough to tell of a transition at once, once it is written. */
const SOON_MS = 50;

/** What a call needs that is not there. It is made once it is. */
export interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

/** Whom and what the calls are made for. */
export interface ActionContext {
  readonly serviceAccountName: string;
  readonly target: ModelDeployment;
  /** The EvalRuns of the Monitor. */
  readonly runs: readonly EvalRun[];
  /** An object of the Monitor's namespace that an action names. */
  readonly get: <T>(kind: "EvalSuite" | "Repository", name: string) => T | undefined;
}

/** The call of one action now; undefined while it has nothing to do. Used by `observe` too, which needs its digest. */
export function planOf(
  monitor: Monitor,
  action: MonitorAction,
  context: ActionContext,
): ActionPlan | Obstacle | undefined {
  switch (action.type) {
    case "Alertmanager":
      return alertmanagerPlan(monitor, action, context);
    case "Webhook":
      return webhookPlan(monitor, action, context);
    case "PrometheusRule":
      return rulePlan(monitor, action, context);
    case "OpenPullRequest":
      return pullRequestPlan(monitor, action, context);
  }
}

export const planDigest = ({ effect, input }: ActionPlan): string => digestOf({ effect, input });

/** Actions that tell of each transition once; the others keep something else as the states are. */
const TELLING: ReadonlySet<MonitorAction["type"]> = new Set(["Webhook", "OpenPullRequest"]);

interface Step {
  readonly status: ActionStatus;
  readonly request?: EffectRequest;
  readonly event?: EventNote;
  readonly waitMs?: number;
}

/**
 * Makes the calls that are due, and keeps account of what was told to whom.
 * @param askNow what is repeated is done at once
 */
export function decideActions(
  monitor: Monitor,
  outcomes: ReadonlyMap<string, EffectOutcome | undefined>,
  context: ActionContext,
  now: Date,
  askNow = false,
): ActionsDecision {
  const steps = (monitor.spec.actions ?? []).map((action) => {
    const plan = planOf(monitor, action, context);
    const before = statusOf(monitor, action);
    if (plan && "reason" in plan) return { status: { ...told(before), ...plan } };
    return plan
      ? stepOf(plan, outcomes.get(action.name), before, now, askNow)
      : { status: idle(monitor, before) };
  });
  return {
    effects: steps.flatMap(({ request }) => request ?? []),
    statuses: steps.map(({ status }) => status),
    events: steps.flatMap(({ event }) => event ?? []),
    waitMs: Math.min(...steps.map(({ waitMs = Number.POSITIVE_INFINITY }) => waitMs)),
  };
}

/** An action tells of what happens from when it is there. */
function statusOf(monitor: Monitor, { name, type }: MonitorAction): ActionStatus {
  const known = monitor.status?.actions?.find((each) => each.name === name);
  if (known) return known;
  return TELLING.has(type) ? { name, delivered: monitor.status?.history?.[0]?.id ?? 0 } : { name };
}

/** Nothing is left to tell: the transitions so far count as told. */
function idle(monitor: Monitor, before: ActionStatus): ActionStatus {
  const { delivered, ...rest } = told(before);
  return delivered === undefined
    ? rest
    : { ...rest, delivered: Math.max(delivered, monitor.status?.history?.[0]?.id ?? 0) };
}

/** Without what went wrong. */
function told({ name, delivered, url }: ActionStatus): ActionStatus {
  return { name, ...(delivered === undefined ? {} : { delivered }), ...(url === undefined ? {} : { url }) };
}

function stepOf(
  plan: ActionPlan,
  outcome: EffectOutcome | undefined,
  before: ActionStatus,
  now: Date,
  askNow: boolean,
): Step {
  const { name } = before;
  const kept = told(before);
  const ask = (attempt: number): EffectRequest => ({
    name: plan.effect,
    inputDigest: planDigest(plan),
    input: plan.input as unknown as Json,
    attempt,
    durable: plan.durable,
  });
  // When it ends it wakes the Monitor.
  if (!outcome || outcome.state === "Running")
    return { status: { ...kept, ...problemIn(before) }, request: ask(outcome?.attempt ?? 1) };
  if (outcome.state === "Succeeded") {
    if (plan.transition !== undefined) {
      const { url = before.url } = (outcome.output ?? {}) as { url?: string };
      const shown = url === undefined ? {} : { url };
      return { status: { name, delivered: plan.transition, ...shown }, waitMs: SOON_MS };
    }
    if (plan.everyMs === undefined) return { status: kept, request: ask(outcome.attempt) };
    const { attempt, waitMs } = nextAttempt(outcome, plan.everyMs, askNow, now);
    return { status: kept, request: ask(attempt), waitMs };
  }
  const problem = problemOf(outcome);
  const shown = problem.reason === before.reason ? problemIn(before) : problem;
  if (plan.transition === undefined) {
    const { attempt, waitMs } = nextAttempt(outcome, FAILED_RETRY_MS, askNow, now);
    return { status: { ...kept, ...shown }, request: ask(attempt), waitMs };
  }
  if (outcome.error?.retryable === true && outcome.attempt < MAX_ATTEMPTS)
    return { status: { ...kept, ...shown }, request: ask(outcome.attempt + 1) };
  return {
    status: { ...kept, delivered: plan.transition, ...shown },
    event: {
      type: "Warning",
      reason: problem.reason,
      note: `action ${name} gave up transition ${plan.transition}: ${problem.message}`,
    },
    waitMs: SOON_MS,
  };
}

/** What failed, as the status shows it. */
function problemOf({ error }: EffectOutcome): { reason: string; message: string } {
  const { code, message } = error ?? { code: "ActionFailed", message: "the call did not finish" };
  return { reason: code, message: message.slice(0, 512) };
}

/** While it is tried again the former problem stands, in the words that it had. */
function problemIn({ reason, message }: ActionStatus): Pick<ActionStatus, "reason" | "message"> {
  return { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}
