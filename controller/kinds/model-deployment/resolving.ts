import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import { controllerRef } from "../../kube/apply.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { requestedAt } from "../../runtime/status.ts";
import type { TokenSecret } from "../work-token.ts";
import { needsToken } from "./fetch-containers.ts";
import { childName } from "./names.ts";
import { isPinned, type LookedUp, type PinnedSource, pinned, type Source } from "./sources.ts";

/** Looks up what names mean now. */
export interface ResolveInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly sources: readonly Source[];
  /** Makes a person's request another lookup. */
  readonly asked?: string;
}

/** Checks the Secrets of a revision's sources, and makes the one with its token. */
export interface AdmitInput {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly sources: readonly Source[];
  /** Absent where nothing comes from the controller. */
  readonly token?: TokenSecret;
}

export type Step<T> =
  | { readonly done: T; readonly effects: readonly EffectRequest[] }
  | {
      readonly effects: readonly EffectRequest[];
      readonly reason: string;
      readonly message: string;
      /** Only a person can mend it. */
      readonly final: boolean;
      readonly waitMs?: number;
    };

type Look = (request: EffectRequest) => EffectOutcome | undefined;
const RETRY_MS = 60_000;

/**
 * The sources as they are now. What was looked up stays as it is in the status, whatever moves, until the spec or a
 * person asks for another look: a tag that somebody moves must not roll a deployment.
 */
export function resolveStep(
  deployment: ModelDeployment,
  serviceAccountName: string,
  sources: readonly Source[],
  effect: Look,
  now: Date,
): Step<readonly PinnedSource[]> {
  const open = sources.filter(({ reference }) => !isPinned(reference));
  if (open.length === 0) return { done: pinned(sources, []) ?? [], effects: [] };
  const asked = requestedAt(deployment as never);
  const input: ResolveInput = {
    namespace: deployment.metadata.namespace ?? "",
    serviceAccountName,
    sources: open,
    ...(asked === undefined ? {} : { asked }),
  };
  const request = requestOf("resolve", input);
  const outcome = effect(request);
  if (outcome?.state === "Succeeded") {
    const found = pinned(sources, outcome.output as unknown as readonly LookedUp[]);
    if (found) return { done: found, effects: [{ ...request, attempt: outcome.attempt }] };
  }
  const former = pinned(sources, deployment.status?.resolved ?? []);
  const handled = asked === deployment.status?.lastHandledRequestedAt;
  if (former && handled && outcome === undefined) return { done: former, effects: [] };
  return waitingFor(request, outcome, now, "Resolving", "looking up what the sources are");
}

/** What has to be in the cluster before a revision's pods start. */
export function admitStep(
  deployment: ModelDeployment,
  serviceAccountName: string,
  revision: string,
  sources: readonly PinnedSource[],
  effect: Look,
  now: Date,
): Step<true> {
  const { namespace = "", name, uid = "" } = deployment.metadata;
  const withSecrets = sources.filter(({ secret }) => secret !== undefined);
  const token = needsToken(sources);
  if (withSecrets.length === 0 && !token) return { done: true, effects: [] };
  const read = sources.flatMap(({ resolved }) => /^artifact:(.*)$/.exec(resolved)?.[1] ?? []);
  const input: AdmitInput = {
    namespace,
    serviceAccountName,
    sources: withSecrets,
    ...(token
      ? {
          token: {
            name: childName(deployment, revision),
            claims: {
              object: { kind: "ModelDeployment", namespace, name },
              uid,
              input: revision,
              read: [...new Set(read)],
              write: false,
            },
            owner: controllerRef(deployment as never),
          },
        }
      : {}),
  };
  const request = requestOf("admit", input);
  const outcome = effect(request);
  if (outcome?.state === "Succeeded")
    return { done: true, effects: [{ ...request, attempt: outcome.attempt }] };
  return waitingFor(request, outcome, now, "Starting", "its Secrets are checked");
}

function waitingFor(
  request: EffectRequest,
  outcome: EffectOutcome | undefined,
  now: Date,
  reason: string,
  message: string,
): Step<never> {
  if (outcome?.state !== "Failed") {
    return { effects: [{ ...request, attempt: outcome?.attempt ?? 1 }], reason, message, final: false };
  }
  const left = (outcome.finishedAt ?? 0) + RETRY_MS - now.getTime();
  return {
    effects: [{ ...request, attempt: outcome.attempt + (left <= 0 ? 1 : 0) }],
    reason: outcome.error?.code ?? reason,
    message: outcome.error?.message ?? message,
    final: outcome.error?.retryable === false,
    waitMs: Math.max(50, left),
  };
}

function requestOf(name: string, input: object): EffectRequest {
  const json = JSON.parse(JSON.stringify(input)) as Json;
  return { name, inputDigest: digestOf(json), input: json, attempt: 1, durable: false };
}
