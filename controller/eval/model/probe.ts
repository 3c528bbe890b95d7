import { z } from "zod";
import { deadline } from "../../kube/deadline.ts";
import { errorOfConnection } from "./classify.ts";
import { type Access, sendModelRequest } from "./http.ts";
import { type ModelEndpoint, ModelError } from "./types.ts";

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
        | "AdapterIgnored"
        | "HostNotAllowed";
      readonly message: string;
    };

const modelList = z.object({ data: z.array(z.object({ id: z.string() })) });

/**
 * Asks an endpoint for its models, which costs nothing. An endpoint without that list (404, 405, or an answer that is
 * no list) counts as answering.
 * @param absent a model that is not there; an endpoint that answers for it as well takes no notice of what follows the
 * base's name, and lets the base answer for each adapter
 * @throws the signal's reason when the caller gave up
 */
export async function probeEndpoint({
  endpoint,
  allowedHosts,
  absent,
  signal,
}: {
  readonly endpoint: ModelEndpoint;
  readonly allowedHosts?: readonly string[];
  readonly absent?: string | undefined;
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
    const url = endpoint.baseURL.replace(/\/+$/, "");
    const access = { apiKey: endpoint.apiKey, allowedHosts };
    const { signal: inTime } = limit;
    const { body } = await sendModelRequest({ url: `${url}/models`, method: "GET", signal: inTime }, access);
    const models = idsIn(body) ?? [];
    if (models.length > 0 && !models.includes(endpoint.model)) {
      return {
        ok: false,
        reason: "ModelNotFound",
        message: `the endpoint does not list ${endpoint.model}; it lists ${models.slice(0, 5).join(", ")}${models.length > 5 ? " and more" : ""}`,
      };
    }
    if (absent !== undefined && (await answersFor(absent, url, access, inTime))) {
      return {
        ok: false,
        reason: "AdapterIgnored",
        message: `the endpoint answers for ${absent} too, which is not there: the base would answer for each adapter; use a newer image of the runtime`,
      };
    }
    return answering(models.length > 0 ? models : undefined);
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

/** One token is asked for, as a completion: not every base has a chat template. */
async function answersFor(model: string, url: string, access: Access, signal: AbortSignal): Promise<boolean> {
  const body = JSON.stringify({ model, prompt: "a", max_tokens: 1 });
  try {
    await sendModelRequest({ url: `${url}/completions`, method: "POST", body, signal }, access);
    return true;
  } catch (error) {
    if (error instanceof ModelError && error.code === "ModelRejected") return false;
    throw error;
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
