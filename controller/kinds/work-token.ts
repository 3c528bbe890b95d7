import { FIELD_MANAGER, LABEL_MANAGED_BY } from "../../schemas/kind.ts";
import type { KubeClient } from "../kube/client.ts";
import { isAlreadyExists } from "../kube/kube-error.ts";
import { type OwnerReference, Secret } from "../kube/resources.ts";
import type { WorkClaims, WorkTokens } from "../work/tokens.ts";

/** The key of the token in its Secret. */
export const TOKEN_KEY = "token";

/** What a pod's environment takes its token from. */
export const tokenFrom = (secret: string) => ({ secretKeyRef: { name: secret, key: TOKEN_KEY } });

export interface TokenSecret {
  /** Of the Secret; of the same work the same. */
  readonly name: string;
  readonly claims: WorkClaims;
  readonly owner: OwnerReference;
}

/**
 * Makes the Secret with a pod's token. The controller may create Secrets and read none
 * (docs/adr/007-tokens-are-created-not-read.md): one that is there already is of this work, because its name is.
 */
export async function createTokenSecret(
  { name, claims, owner }: TokenSecret,
  { client, tokens }: { client: Pick<KubeClient, "create">; tokens: Pick<WorkTokens, "issue"> },
  signal: AbortSignal,
): Promise<void> {
  const { namespace } = claims.object;
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace,
      labels: { [LABEL_MANAGED_BY]: FIELD_MANAGER },
      ownerReferences: [owner],
    },
    type: "Opaque",
    stringData: { [TOKEN_KEY]: tokens.issue(claims) },
  };
  try {
    await client.create(Secret, object, { fieldManager: FIELD_MANAGER, signal });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
