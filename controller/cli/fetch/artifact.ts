import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, request } from "undici";
import { type ArtifactManifest, artifactManifest } from "../../../schemas/artifact.ts";
import { SlipwayError } from "../../errors.ts";
import { blobDigest } from "../../graph/canonical.ts";
import { MAX_MANIFEST_BYTES } from "../../work/artifacts.ts";
import { type Content, without } from "./files.ts";

const TIMEOUT_MS = 120_000;
const TRIES = 10;
const RETRY_MS = 3_000;

/**
 * An artifact's files, from the controller. One that restarts is waited for: the pod may have started at that moment.
 * @throws SlipwayError ArtifactNotFound, ArtifactInvalid, InvalidSettings; retryable ControllerUnreachable
 */
export async function artifactContent(
  digest: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  retryMs = RETRY_MS,
): Promise<Content> {
  const { SLIPWAY_URL: url, SLIPWAY_TOKEN: token } = env;
  if (!url || !token)
    throw new SlipwayError("InvalidSettings", "artifacts need SLIPWAY_URL and SLIPWAY_TOKEN", {
      hint: "the pod of a ModelDeployment has both",
    });
  const get = async (blob: string, start: number) => {
    const answer = await request(`${url.replace(/\/+$/, "")}/artifacts/${blob}`, {
      headers: { authorization: `Bearer ${token}`, ...(start > 0 ? { range: `bytes=${start}-` } : {}) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal,
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw unreachable(`the controller at ${url} cannot be reached: ${(cause as Error).message}`);
    });
    return accepted(answer, blob, url);
  };
  const manifest = await retried(async () => parse(digest, (await get(digest, 0)).body), retryMs, signal);
  return {
    reference: `artifact:${digest}`,
    files: manifest.files.map((file) => ({
      ...file,
      read: async function* (start: number) {
        const { body, statusCode } = await get(file.digest, start);
        try {
          yield* without(body, statusCode === 206 ? 0 : start);
        } catch (cause) {
          signal.throwIfAborted();
          throw unreachable(`the connection broke while ${file.path} was read: ${(cause as Error).message}`);
        }
      },
    })),
  };
}

/** The answer, unless it is a refusal. */
async function accepted(
  answer: Dispatcher.ResponseData,
  blob: string,
  url: string,
): Promise<Dispatcher.ResponseData> {
  const { statusCode, body } = answer;
  if (statusCode === 200 || statusCode === 206) return answer;
  await body.dump();
  if (statusCode >= 500 || statusCode === 429)
    throw unreachable(`the controller at ${url} answered with HTTP ${statusCode}`);
  if (statusCode === 401)
    throw new SlipwayError("TokenRefused", "the controller does not know this pod's token", {
      hint: "the controller lost its state folder: delete the Secret with the name of the pod's Deployment, and after it that Deployment: both are made anew",
    });
  throw new SlipwayError("ArtifactNotFound", `the controller has no ${blob}, or this pod may not read it`, {
    hint: "artifacts lie in the controller's state folder: train again, or store it again",
  });
}

async function parse(digest: string, body: AsyncIterable<Uint8Array>): Promise<ArtifactManifest> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_MANIFEST_BYTES) throw invalid(digest, "it is too large");
    chunks.push(chunk);
  }
  const data = Buffer.concat(chunks);
  if (blobDigest(data) !== digest) throw unreachable(`what came for ${digest} is something else`);
  try {
    return artifactManifest.parse(JSON.parse(data.toString("utf8")));
  } catch {
    throw invalid(digest, "it does not list files");
  }
}

async function retried<T>(once: () => Promise<T>, retryMs: number, signal: AbortSignal): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof SlipwayError) || !error.retryable || left <= 1) throw error;
      await sleep(retryMs, undefined, { signal });
    }
  }
}

const unreachable = (message: string) =>
  new SlipwayError("ControllerUnreachable", message, { retryable: true });
const invalid = (digest: string, why: string) =>
  new SlipwayError("ArtifactInvalid", `${digest} is not an artifact's manifest: ${why}`);
