import { ANNOTATION_ALLOWED_HOSTS } from "../../schemas/kind.ts";
import type { Repository } from "../../schemas/repository.ts";
import { SlipwayError } from "../errors.ts";
import { hostAllowed } from "../kube/allowed-hosts.ts";
import type { SecretReader } from "../kube/secrets.ts";
import type { Forge } from "./forge/forge.ts";
import { GiteaForge } from "./forge/gitea.ts";
import { GitHubForge } from "./forge/github.ts";
import { type ForgeLocation, parseForgeUrl } from "./forge/parse-url.ts";

/** Where a Repository's pull requests are. */
export function forgeLocation(repository: Repository): ForgeLocation {
  const { forge, url } = repository.spec;
  return parseForgeUrl(url, {
    ...(forge ? { kind: forge.type } : {}),
    ...(forge?.apiURL === undefined ? {} : { apiUrl: forge.apiURL }),
  });
}

/** Makes forge clients with the tenant's own credential, and keeps them while the credential is the same. */
export function forgeFactory(secrets: SecretReader): (repository: Repository) => Promise<Forge> {
  const known = new Map<string, { credential: string; forge: Forge }>();
  return async (repository) => {
    const location = forgeLocation(repository);
    const data = await credentialOf(repository, location, secrets);
    const credential = JSON.stringify([location, data]);
    const key = repository.metadata.uid ?? repository.metadata.name;
    const kept = known.get(key);
    if (kept?.credential === credential) return kept.forge;
    const forge = await connect(location, data);
    known.set(key, { credential, forge });
    return forge;
  };
}

async function credentialOf(
  repository: Repository,
  location: ForgeLocation,
  secrets: SecretReader,
): Promise<Record<string, string>> {
  const { forge, serviceAccountName } = repository.spec;
  const namespace = repository.metadata.namespace ?? "";
  if (!forge?.secretRef) {
    throw new SlipwayError("ForgeUnauthorized", "spec.forge.secretRef is missing", {
      hint: "commenting on pull requests needs a token: name a Secret with the key token",
    });
  }
  const { name } = forge.secretRef;
  const secret = await secrets.read(namespace, name, serviceAccountName);
  if (!hostAllowed(location.apiUrl, secret.allowedHosts)) {
    throw new SlipwayError(
      "HostNotAllowed",
      `Secret ${namespace}/${name} may not be sent to ${new URL(location.apiUrl).host}`,
      {
        hint: `add the host to its annotation ${ANNOTATION_ALLOWED_HOSTS}`,
      },
    );
  }
  return secret.data;
}

async function connect(location: ForgeLocation, data: Record<string, string>): Promise<Forge> {
  const { repository, apiUrl } = location;
  const token = data.token?.trim();
  if (location.kind === "Gitea") {
    if (!token) throw incomplete("token");
    return new GiteaForge({ apiUrl, token, repository });
  }
  if (token) return GitHubForge.create({ apiUrl, repository, credential: { token } });
  const { appId, installationId, privateKey } = data;
  if (!appId || !installationId || !privateKey)
    throw incomplete("token, or appId, installationId and privateKey");
  return GitHubForge.create({
    apiUrl,
    repository,
    credential: { appId: Number(appId), installationId: Number(installationId), privateKey },
  });
}

const incomplete = (keys: string) =>
  new SlipwayError("SecretIncomplete", `the Secret of spec.forge.secretRef has no ${keys}`, {
    hint: `add the key ${keys}`,
  });
