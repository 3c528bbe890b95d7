import type { Condition } from "../../../schemas/common.ts";
import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import { revisionFields } from "../types.ts";

/** What the probe effect answers. */
export type ProbeOutput =
  | { readonly ok: true; readonly message: string }
  | { readonly ok: false; readonly reason: string; readonly message: string; readonly terminal: boolean };

export interface ProbeInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly external: NonNullable<ModelDeployment["spec"]["external"]>;
}

export interface ObservedDeployment {
  readonly deployment: ModelDeployment;
  readonly serviceAccountName: string;
  readonly probe: EffectOutcome | undefined;
}

/** How often an endpoint is asked again, at most and at least. */
const MAX_INTERVAL_MS = 60_000;
const MIN_INTERVAL_MS = 1_000;

export function probeInput(deployment: ModelDeployment, serviceAccountName: string): ProbeInput | undefined {
  const { external } = deployment.spec;
  return external && { namespace: deployment.metadata.namespace ?? "", serviceAccountName, external };
}

/** A hosted model is ready when its endpoint answers for that model. */
export function decide(observed: ObservedDeployment, now: Date): Decision<ModelDeploymentStatus> {
  const { deployment, probe } = observed;
  const input = probeInput(deployment, observed.serviceAccountName);
  if (!input) {
    return {
      children: [],
      effects: [],
      status: { conditions: stalled("InvalidSpec", "type: External needs the section external") },
    };
  }
  const { external } = input;
  const identity = {
    ...revisionFields(revisionOf(deployment, () => undefined)),
    endpoint: { url: external.baseURL, model: external.model },
  };
  const request = (attempt: number): EffectRequest => ({
    name: "probe",
    inputDigest: digestOf(input),
    input: input as unknown as Json,
    attempt,
    durable: false,
  });
  if (!probe || probe.state === "Running") {
    // Asking again, or for the first time in this process, says nothing new: the last answer stands until the next.
    return {
      children: [],
      effects: [request(probe?.attempt ?? 1)],
      status: {
        ...identity,
        conditions: said(deployment) ?? reconciling("Probing", `asking ${external.baseURL}`),
      },
    };
  }
  const output = probe.output as ProbeOutput | undefined;
  const healthy = probe.state === "Succeeded" && output?.ok === true;
  const asked = requestedAt(deployment as unknown as KubeObject);
  const askNow = asked !== undefined && asked !== deployment.status?.lastHandledRequestedAt;
  const wait = askNow ? 0 : healthy ? MAX_INTERVAL_MS : failureInterval(deployment, probe);
  const left = (probe.finishedAt ?? 0) + wait - now.getTime();
  return {
    children: [],
    effects: [request(left <= 0 ? probe.attempt + 1 : probe.attempt)],
    status: { ...identity, conditions: conditionsOf(deployment, probe, output, external.model) },
    requeueAfterMs: Math.max(50, left),
    ...(healthy ? {} : { events: [failureEvent(probe, output)] }),
  };
}

/** What is known of this very spec from an earlier answer. */
function said({ status, metadata }: ModelDeployment): Condition[] | undefined {
  return status?.observedGeneration === metadata.generation ? status?.conditions : undefined;
}

/** As long as it has been failing, so that a blip is over in seconds and an outage costs a request a minute. */
function failureInterval(deployment: ModelDeployment, probe: EffectOutcome): number {
  const before = said(deployment)?.find(({ type }) => type === "Ready");
  const since = before?.status === "False" ? Date.parse(before.lastTransitionTime) : Number.NaN;
  const failing = Number.isNaN(since) ? 0 : (probe.finishedAt ?? 0) - since;
  return Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, failing));
}

function conditionsOf(
  deployment: ModelDeployment,
  probe: EffectOutcome,
  output: ProbeOutput | undefined,
  model: string,
) {
  if (output?.ok) return ready("EndpointAnswers", `${model} answers`);
  const { reason, message, terminal } = failureOf(probe, output);
  // An endpoint's own words may hold a request id; the same failure is not news each minute.
  const before = said(deployment)?.find(({ type }) => type === "Ready");
  const text = before?.reason === reason && reason.startsWith("Endpoint") ? before.message : message;
  return terminal ? stalled(reason, text) : reconciling(reason, text);
}

function failureOf(probe: EffectOutcome, output: ProbeOutput | undefined) {
  if (output && !output.ok) return output;
  return {
    reason: probe.error?.code ?? "ProbeFailed",
    message: probe.error?.message ?? "the probe did not finish",
    terminal: probe.error?.retryable === false,
  };
}

function failureEvent(probe: EffectOutcome, output: ProbeOutput | undefined) {
  const { reason, message } = failureOf(probe, output);
  return { type: "Warning" as const, reason, note: message };
}
