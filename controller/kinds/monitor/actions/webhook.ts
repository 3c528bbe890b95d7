import type { Monitor, MonitorState, Transition } from "../../../../schemas/monitor.ts";
import type { MonitorAction } from "../../../../schemas/monitor-actions.ts";
import type { ActionContext, ActionPlan } from "./plan.ts";

/** The body of the request. */
export interface WebhookBody {
  /** The same whenever this transition is told again. */
  readonly id: string;
  readonly monitor: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly target: { readonly kind: "ModelDeployment"; readonly name: string };
  readonly transition: Transition;
  readonly state?: MonitorState;
}

export interface WebhookInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly url: string;
  readonly secretRef: { readonly name: string; readonly key: string };
  readonly body: WebhookBody;
}

/** The oldest transition that an action has not told of; the first state of a signal is none, when it is OK. */
export function nextTransition(monitor: Monitor, action: string): Transition | undefined {
  const { history = [], actions = [] } = monitor.status ?? {};
  const told = actions.find(({ name }) => name === action)?.delivered;
  if (told === undefined) return undefined;
  return history.toReversed().find(({ id, from, to }) => id > told && (from !== undefined || to !== "OK"));
}

/** Tells of each transition once, in their order. */
export function webhookPlan(
  monitor: Monitor,
  action: MonitorAction,
  { serviceAccountName }: ActionContext,
): ActionPlan | undefined {
  const transition = nextTransition(monitor, action.name);
  if (!transition || !action.webhook) return undefined;
  const { namespace = "", name, uid = "" } = monitor.metadata;
  const { url, secretRef } = action.webhook;
  const input: WebhookInput = {
    namespace,
    serviceAccountName,
    url,
    secretRef,
    body: {
      id: `${uid}/${action.name}/${transition.id}`,
      monitor: { namespace, name, uid },
      target: { kind: "ModelDeployment", name: monitor.spec.targetRef.name },
      transition,
    },
  };
  return { effect: "webhook", input, durable: true, transition: transition.id };
}
