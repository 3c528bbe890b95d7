import type { Repository } from "../schemas/repository.ts";
import type { KubeObject } from "./kube/resources.ts";
import { keyOf } from "./kube/resources.ts";
import type { SecretReader } from "./kube/secrets.ts";
import type { ObjectStore } from "./kube/store.ts";
import type { Logger } from "./log.ts";
import { DeliveryLog } from "./pr/forge/delivery-log.ts";
import { handleWebhook, MAX_WEBHOOK_BYTES, type WebhookSecret } from "./pr/forge/webhook.ts";
import { forgeLocation } from "./pr/forge-of.ts";
import type { PostRoute } from "./runtime/http.ts";

/**
 * The way in for webhooks: a signed delivery makes its repository look sooner, and says nothing that is believed.
 * One path serves all repositories, because the secret that signed tells whose delivery it is.
 * @param onEvent told the keys of the repositories concerned
 */
export function webhookRoute(
  repositories: ObjectStore<KubeObject>,
  secrets: SecretReader,
  log: Logger,
  onEvent: (keys: readonly string[]) => void,
): PostRoute {
  const deliveries = new DeliveryLog();
  return {
    path: "/webhooks",
    maxBytes: MAX_WEBHOOK_BYTES,
    handle: async ({ headers, body }) => {
      const known = await readSecrets(repositories, secrets, log);
      const { status, message, event, owners = [] } = handleWebhook({ headers, body }, known, deliveries);
      if (event) onEvent(owners);
      return { status, body: `${message}\n` };
    },
  };
}

async function readSecrets(
  repositories: ObjectStore<KubeObject>,
  secrets: SecretReader,
  log: Logger,
): Promise<WebhookSecret[]> {
  const found: WebhookSecret[] = [];
  for (const object of repositories.list()) {
    const repository = object as unknown as Repository;
    const { webhook, serviceAccountName } = repository.spec;
    if (!webhook) continue;
    try {
      // The key only verifies: it is never sent anywhere, so it needs no host.
      const { data } = await secrets.read(
        object.metadata.namespace ?? "",
        webhook.secretRef.name,
        serviceAccountName,
        { bound: false },
      );
      const secret = data.secret?.trim();
      if (secret)
        found.push({ owner: keyOf(object), repository: forgeLocation(repository).repository, secret });
    } catch (err) {
      log.warn({ err, repository: keyOf(object) }, "cannot read the webhook's secret");
    }
  }
  return found;
}
