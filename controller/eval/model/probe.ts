import { z } from "zod";
import { deadline } from "../../kube/deadline.ts";
import { errorOfConnection } from "./classify.ts";
import { sendModelRequest } from "./http.ts";
import type { ModelEndpoint, ModelError } from "./types.ts";

export type ProbeResult =
  | {
      readonly ok: true;
      readonly latencyMs: number;
      /** What the endpoint lists, at most 1,000; absent where it lists nothing. */
      readonly models?: readonly string[];
    }
  | {
      readonly ok: false;
      readonly reason:
        | "EndpointUnreachable"
        | "EndpointUnauthorized"
        | "EndpointRateLimited"
        | "EndpointError"
        | "ModelNotFound"
        | "HostNotAllowed";
      readonly message: string;
    };

const modelList = z.object({ data: z.array(z.object({ id: z.string() })) });

/**
 * Asks an endpoint for its models, which costs nothing. An endpoint without that list (404, 405, or an answer that is
 * no list) counts as answering.
 * @throws the signal's reason when the caller gave up
 */
export async function probeEndpoint({
  endpoint,
  allowedHosts,
  signal,
}: {
  readonly endpoint: ModelEndpoint;
  readonly allowedHosts?: readonly string[];
  readonly signal?: AbortSignal;
}): Promise<ProbeResult> {
  signal?.throwIfAborted();
  using limit = deadline(endpoint.timeoutMs, signal);
  const started = performance.now();
  const answering = (models?: string[]): ProbeResult => ({
    ok: true,
    latencyMs: Math.round(performance.now() - started),
    ...(models && { models: models.slice(0, 1_000) }),
  });
  try {
    const { body } = await sendModelRequest(
      { url: `${endpoint.baseURL.replace(/\/+$/, "")}/models`, method: "GET", signal: limit.signal },
      { apiKey: endpoint.apiKey, allowedHosts },
    );
    const models = idsIn(body);
    if (!models || models.length === 0) return answering();
    if (models.includes(endpoint.model)) return answering(models);
    return {
      ok: false,
      reason: "ModelNotFound",
      message: `the endpoint does not list ${endpoint.model}; it lists ${models.slice(0, 5).join(", ")}${models.length > 5 ? " and more" : ""}`,
    };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (limit.expired) {
      return {
        ok: false,
        reason: "EndpointUnreachable",
        message: `no answer within ${endpoint.timeoutMs} ms`,
      };
    }
    const failure = errorOfConnection(error, endpoint.apiKey);
    return failure.status === 404 || failure.status === 405 ? answering() : refusal(failure);
  }
}

function idsIn(body: unknown): string[] | undefined {
  if (typeof body !== "string") return undefined;
  try {
    const parsed = modelList.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data.data.map(({ id }) => id.slice(0, 256)) : undefined;
  } catch {
    return undefined;
  }
}

function refusal(error: ModelError): ProbeResult {
  const message = error.hint ? `${error.message} (${error.hint})` : error.message;
  switch (error.code) {
    case "HostNotAllowed":
      return { ok: false, reason: "HostNotAllowed", message };
    case "ModelUnauthorized":
      return { ok: false, reason: "EndpointUnauthorized", message };
    case "ModelRateLimited":
      return { ok: false, reason: "EndpointRateLimited", message };
    case "ModelUnavailable":
      return {
        ok: false,
        reason: error.status === undefined ? "EndpointUnreachable" : "EndpointError",
        message,
      };
    default:
      return { ok: false, reason: "EndpointError", message };
  }
}
