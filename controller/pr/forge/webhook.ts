import type { DeliveryLog } from "./delivery-log.ts";
import { toWebhookEvent, type WebhookEvent } from "./webhook-event.ts";
import { verifySignature } from "./webhook-signature.ts";

export type { WebhookEvent } from "./webhook-event.ts";

/** Larger ones are refused; the repository's poll picks the change up. Servers stop reading here. */
export const MAX_WEBHOOK_BYTES = 1024 * 1024;

/** One Repository's secret. It vouches for that repository alone. */
export interface WebhookSecret {
  /** Whose it is, e.g. `namespace/name` of the Repository object. */
  readonly owner: string;
  /** `owner/name` on the forge. */
  readonly repository: string;
  readonly secret: string;
}

export interface WebhookRequest {
  /** As node's http gives them: lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The bytes as they came. */
  readonly body: Uint8Array;
}

export interface WebhookAnswer {
  readonly status: 200 | 202 | 400 | 401 | 413 | 415;
  /** For the forge's delivery page; nothing of the request in it. */
  readonly message: string;
  /** Present when there is something to do (202). */
  readonly event?: WebhookEvent;
  /** The owners whose secret signed it and whose repository it is about. */
  readonly owners?: readonly string[];
}

/**
 * Decides about one delivery; never throws. An event is a hint to look at the forge sooner, not a fact.
 * Gitea sends GitHub's headers too, so its own come first.
 * @param deliveries remembers what was taken; an unsigned request never gets there
 */
export function handleWebhook(
  request: WebhookRequest,
  secrets: readonly WebhookSecret[],
  deliveries: DeliveryLog,
): WebhookAnswer {
  const { body } = request;
  if (body.byteLength > MAX_WEBHOOK_BYTES) return { status: 413, message: "the payload is too large" };
  const header = (name: string): string => {
    const value = request.headers[name];
    return typeof value === "string" ? value : (value?.[0] ?? "");
  };

  const forge = header("x-gitea-event") !== "" ? "Gitea" : "GitHub";
  const signature =
    forge === "Gitea"
      ? header("x-gitea-signature")
      : (/^sha256=(.*)$/.exec(header("x-hub-signature-256"))?.[1] ?? "");
  // Every secret is tried, so that time says nothing about which one it was.
  const signers = secrets.filter(({ secret }) => verifySignature(body, signature, secret));
  if (signers.length === 0) return { status: 401, message: "the signature is missing or wrong" };

  if (!/^application\/json\b/i.test(header("content-type"))) {
    return { status: 415, message: "set the webhook's content type to application/json" };
  }
  const payload = parse(body);
  const name = header(forge === "Gitea" ? "x-gitea-event" : "x-github-event");
  if (payload === undefined || name === "") return { status: 400, message: "this is no webhook delivery" };

  const deliveryId = header(forge === "Gitea" ? "x-gitea-delivery" : "x-github-delivery").slice(0, 128);
  const event = toWebhookEvent(forge, name, deliveryId, payload);
  const { repository } = event;
  if (event.event === "ping") return { status: 200, message: "pong" };
  if (event.event === "other" || repository === undefined) {
    return { status: 200, message: "nothing to do for this event" };
  }
  const owners = signers
    .filter((signer) => signer.repository.toLowerCase() === repository.toLowerCase())
    .map((signer) => signer.owner);
  if (owners.length === 0) return { status: 401, message: "the secret is another repository's" };
  if (deliveryId !== "" && !deliveries.add(`${forge} ${deliveryId}`)) {
    return { status: 200, message: "this delivery was taken before" };
  }
  return { status: 202, message: "accepted", event, owners };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}
