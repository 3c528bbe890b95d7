import { SlipwayError } from "../../errors.ts";
import type { Json } from "../../graph/canonical.ts";
import type { KubeClient } from "../../kube/client.ts";
import { assertHostAllowed, type SecretReader } from "../../kube/secrets.ts";
import type { EffectHandler } from "../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { assertMadeIn, rankOf, readManifest } from "../../work/artifacts.ts";
import type { WorkTokens } from "../../work/tokens.ts";
import { createTokenSecret } from "../work-token.ts";
import type { AdmitInput, VerifyInput, VerifyOutput } from "./effect-inputs.ts";
import { chosen } from "./selection/chosen.ts";

export interface EffectDependencies {
  readonly client: Pick<KubeClient, "create">;
  readonly secrets: Pick<SecretReader, "read">;
  readonly tokens: Pick<WorkTokens, "issue">;
  readonly blobs: Pick<BlobStore, "has" | "open" | "get" | "put">;
  readonly reports: Pick<ReportStore, "hasUpload" | "hasUploadIn">;
}

/**
 * Checks that the tenant may use each Secret, and that it may go where the pod will send it; then makes the Secret
 * with the pod's token.
 */
export function admit(dependencies: EffectDependencies): EffectHandler {
  const { secrets } = dependencies;
  return async (value, { signal }) => {
    const {
      namespace,
      account,
      secrets: uses,
      artifacts,
      claims,
      name,
      owner,
    } = value as unknown as AdmitInput;
    for (const artifact of artifacts) await assertMadeIn(namespace, artifact, dependencies);
    for (const use of uses) {
      const secret = await secrets.read(namespace, use.name, account, { signal });
      for (const key of use.keys) {
        if (secret.data[key] !== undefined) continue;
        throw new SlipwayError("SecretIncomplete", `Secret ${namespace}/${use.name} has no key ${key}`, {
          hint: "add the key, or set secretRef.key",
        });
      }
      assertHostAllowed(use.url, secret, `${namespace}/${use.name}`);
    }
    await createTokenSecret({ name, claims, owner }, dependencies, signal);
    return { secret: name };
  };
}

/**
 * Looks at what a pod says it stored: a manifest of the type, and every file of it, stored by pods of this object.
 * Else it could name somebody else's files and have them served as its own.
 */
export function verify({ blobs, reports }: EffectDependencies): EffectHandler {
  return async (value, { owner }) => {
    const { digest, type, known, choice } = value as unknown as VerifyInput;
    const missing = (what: string) =>
      new SlipwayError("ArtifactMissing", `${what} of the artifact ${digest} is not in the store`, {
        hint: "annotate with slipway.dev/requestedAt to train again",
      });
    if (!(await blobs.has(digest))) throw missing("the manifest");
    const isOwn = (blob: string) => known || reports.hasUpload(owner, blob);
    if (!isOwn(digest)) throw foreign(digest, "the manifest");
    const manifest = await readManifest(digest, blobs);
    if (!manifest || manifest.type !== type)
      throw new SlipwayError("ArtifactInvalid", `${digest} is no manifest of an artifact of type ${type}`);
    for (const file of manifest.files) {
      if (!(await blobs.has(file.digest))) throw missing(file.path);
      if (!isOwn(file.digest)) throw foreign(digest, file.path);
    }
    const rank = await rankOf(manifest, blobs);
    const found = { files: manifest.files.length, ...(rank === undefined ? {} : { rank }) };
    if (!choice) return found;
    for (const { answers } of choice.candidates) if (!isOwn(answers)) throw foreign(digest, "an answer");
    return {
      ...found,
      checkpoints: await chosen(digest, choice, blobs),
    } satisfies VerifyOutput as unknown as Json;
  };
}

function foreign(digest: string, what: string): SlipwayError {
  return new SlipwayError(
    "ArtifactInvalid",
    `${what} of the artifact ${digest} was not stored by a pod of this object`,
  );
}
