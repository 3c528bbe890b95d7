import { probeEndpoint } from "../../eval/model/probe.ts";
import type { Json } from "../../graph/canonical.ts";
import type { KubeClient } from "../../kube/client.ts";
import { assertHostAllowed, type SecretReader } from "../../kube/secrets.ts";
import type { EffectHandler } from "../../runtime/kind.ts";
import { credentialsOf, homeOf, resolveSource } from "../../sources/index.ts";
import { listingDigest } from "../../sources/listing.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { assertMadeIn } from "../../work/artifacts.ts";
import type { WorkTokens } from "../../work/tokens.ts";
import { createTokenSecret } from "../work-token.ts";
import type { ProbeOutput } from "./decide.ts";
import type { AddressProbe } from "./probing.ts";
import type { AdmitInput, ResolveInput } from "./resolving.ts";
import { type LookedUp, placeOf, type Source } from "./sources.ts";

const ASK_TIMEOUT_MS = 10_000;

/** Asks a Service of this cluster for its models. */
export const ask: EffectHandler = async (input, { signal }) => {
  const { address, listed, absent } = input as unknown as AddressProbe;
  const endpoint = { baseURL: address, model: listed, timeoutMs: ASK_TIMEOUT_MS };
  const result = await probeEndpoint({ endpoint, absent, signal });
  const output: ProbeOutput = result.ok
    ? { ok: true, message: `${listed} answers` }
    : { ok: false, reason: result.reason, message: result.message, terminal: false };
  return output as unknown as Json;
};

export interface AdmitDependencies {
  readonly client: Pick<KubeClient, "create">;
  readonly secrets: Pick<SecretReader, "read">;
  readonly tokens: Pick<WorkTokens, "issue">;
  readonly blobs: Pick<BlobStore, "has" | "open" | "get">;
  readonly reports: Pick<ReportStore, "hasUploadIn">;
}

/**
 * Checks that the tenant may use each Secret, that it may go where the pod will send it, and that each artifact is of
 * this namespace; then makes the Secret with the revision's token.
 */
export function admit(dependencies: AdmitDependencies): EffectHandler {
  const { secrets } = dependencies;
  return async (value, { signal }) => {
    const { namespace, serviceAccountName, sources, token } = value as unknown as AdmitInput;
    for (const source of sources)
      await checkSecret(source, { namespace, serviceAccountName }, secrets, signal);
    if (!token) return {};
    for (const artifact of token.claims.read) await assertMadeIn(namespace, artifact, dependencies);
    await createTokenSecret(token, dependencies, signal);
    return { secret: token.name };
  };
}

async function checkSecret(
  source: Source,
  { namespace, serviceAccountName }: Pick<ResolveInput, "namespace" | "serviceAccountName">,
  secrets: Pick<SecretReader, "read">,
  signal: AbortSignal,
): Promise<void> {
  const { reference, secret } = source;
  if (!secret) return;
  const content = await secrets.read(namespace, secret.name, serviceAccountName, { signal });
  // Nothing else is asked with a Secret: claims are mounted, artifacts have a token of their own.
  if (!/^(hf|s3):/.test(reference)) return;
  assertHostAllowed(homeOf(reference, placeOf(source)), content, `${namespace}/${secret.name}`);
}

/** Looks up what branches, tags and folders are now, with the tenant's credentials. */
export function resolve(secrets: Pick<SecretReader, "read">): EffectHandler {
  return async (value, { signal }) => {
    const { namespace, serviceAccountName, sources } = value as unknown as ResolveInput;
    const found: LookedUp[] = [];
    for (const source of sources) {
      const { name, reference, secret } = source;
      const content = secret && (await secrets.read(namespace, secret.name, serviceAccountName, { signal }));
      const access = {
        ...placeOf(source),
        ...(content && secret
          ? {
              credentials: credentialsOf(
                reference,
                `${namespace}/${secret.name}`,
                withToken(content.data, secret.tokenKey),
              ),
              allowedHosts: content.allowedHosts,
            }
          : {}),
      };
      const folder = reference.startsWith("s3://") && !reference.endsWith("/") ? `${reference}/` : reference;
      const pinned = await resolveSource(folder, access, signal);
      const resolved = folder.startsWith("s3://") ? `${folder}#${listingDigest(pinned)}` : pinned.resolved;
      found.push({ name, source: reference, resolved });
    }
    return found as unknown as Json;
  };
}

/** A FineTuneJob names the key of its token: that one counts, whatever else the Secret has. */
function withToken(data: Readonly<Record<string, string>>, tokenKey: string | undefined) {
  if (tokenKey === undefined) return data;
  const token = data[tokenKey];
  return token === undefined ? {} : { token };
}
