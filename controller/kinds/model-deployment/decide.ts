import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import { ready, reconciling, stalled } from "../../runtime/conditions.ts";
import type { Decision, EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
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

/** How often an endpoint that answers is asked again. */
const HEALTHY_INTERVAL_MS = 60_000;
const FIRST_RETRY_MS = 1_000;

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
  if (!probe) {
    return {
      children: [],
      effects: [request(1)],
      status: { ...identity, conditions: reconciling("Probing", `asking ${external.baseURL}`) },
    };
  }
  if (probe.state === "Running") {
    // Asking again says nothing new: the last answer stands until there is another.
    const status = deployment.status;
    const known = status?.conditions && status.observedGeneration === deployment.metadata.generation;
    return {
      children: [],
      effects: [request(probe.attempt)],
      status: {
        ...identity,
        conditions: known ? status.conditions : reconciling("Probing", `asking ${external.baseURL}`),
      },
    };
  }
  const output = probe.output as ProbeOutput | undefined;
  const healthy = probe.state === "Succeeded" && output?.ok === true;
  const wait = healthy
    ? HEALTHY_INTERVAL_MS
    : Math.min(HEALTHY_INTERVAL_MS, FIRST_RETRY_MS * 2 ** Math.min(probe.attempt - 1, 6));
  const left = (probe.finishedAt ?? 0) + wait - now.getTime();
  return {
    children: [],
    effects: [request(left <= 0 ? probe.attempt + 1 : probe.attempt)],
    status: { ...identity, conditions: conditionsOf(probe, output, external.model) },
    requeueAfterMs: Math.max(50, left),
    ...(healthy ? {} : { events: [failureEvent(probe, output)] }),
  };
}

function conditionsOf(probe: EffectOutcome, output: ProbeOutput | undefined, model: string) {
  if (output?.ok) return ready("EndpointAnswers", `${model} answers`);
  const { reason, message, terminal } = failureOf(probe, output);
  return terminal ? stalled(reason, message) : reconciling(reason, message);
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
