import type { KubeObject } from "../controller/kube/resources.ts";
import type { Decision, EffectOutcome } from "../controller/runtime/kind.ts";
import { completeStatus } from "../controller/runtime/status.ts";
import type { Condition } from "../schemas/common.ts";
import { API_VERSION, type CustomResource } from "../schemas/kind.ts";

/** Objects, effects and second looks for the tables of `decide` tests. */

export const NOW = new Date("2030-01-01T00:00:00Z");
export const later = (ms: number): Date => new Date(NOW.getTime() + ms);

type Shape<T> =
  T extends CustomResource<infer Spec, infer Status>
    ? { readonly spec: Spec; readonly status?: Status; readonly metadata?: Partial<T["metadata"]> }
    : never;

/** An object at generation 1, made by hand. */
export function object<T extends CustomResource<unknown>>(kind: string, shape: Shape<T>): T {
  const { metadata, ...rest } = shape;
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name: kind.toLowerCase(), namespace: "team", uid: `uid-${kind}`, generation: 1, ...metadata },
    ...rest,
  } as unknown as T;
}

/** What the API server has once the engine has written the decision. */
export function written<T extends CustomResource<unknown>>(
  of: T,
  decision: Decision<unknown>,
  now: Date = NOW,
): T {
  return { ...of, status: completeStatus(of as unknown as KubeObject, decision.status as object, now) };
}

/** `Ready=True/EndpointAnswers` and so on, in order. */
export function conditionsOf(decision: Decision<{ conditions?: Condition[] }>): string[] {
  return (decision.status.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
}

export const readyConditions = (reason: string) => [`Ready=True/${reason}`];
export const reconcilingConditions = (reason: string) => [
  `Ready=False/${reason}`,
  `Reconciling=True/${reason}`,
];
export const stalledConditions = (reason: string) => [`Ready=False/${reason}`, `Stalled=True/${reason}`];

export function running(attempt = 1, progress?: EffectOutcome["progress"]): EffectOutcome {
  return {
    state: "Running",
    attempt,
    startedAt: NOW.getTime(),
    ...(progress === undefined ? {} : { progress }),
  };
}

/** Ended at NOW, after a second. */
export function succeeded(output: unknown, attempt = 1): EffectOutcome {
  return { ...ended(attempt), state: "Succeeded", output: output as NonNullable<EffectOutcome["output"]> };
}

export function failed(code: string, retryable: boolean, attempt = 1): EffectOutcome {
  return { ...ended(attempt), state: "Failed", error: { code, message: `${code} happened`, retryable } };
}

const ended = (attempt: number) => ({
  attempt,
  startedAt: NOW.getTime() - 1_000,
  finishedAt: NOW.getTime(),
});
