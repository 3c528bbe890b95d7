import { createHmac } from "node:crypto";
import { SlipwayError } from "../../../errors.ts";
import type { SecretReader } from "../../../kube/secrets.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { WebhookInput } from "../actions/webhook.ts";
import { callOut } from "./http.ts";
import { secretFor } from "./secret.ts";

/** Statuses after which the same request may yet be taken. */
const PASSING = new Set([408, 425, 429]);

/**
 * Tells of one transition. The body is signed as GitHub signs its own (`sha256=` and HMAC-SHA256 in hex, over the
 * bytes); a transition that is told again, after a crash, has the same key.
 */
export function webhook(secrets: SecretReader): EffectHandler {
  return async (input, { signal }) => {
    const { url, secretRef, body, ...tenant } = input as unknown as WebhookInput;
    const secret = await secretFor(secretRef, tenant, secrets);
    const text = JSON.stringify(body);
    const { status } = await callOut(
      {
        url,
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": body.id,
          "x-slipway-event": "monitor.transition",
          "x-slipway-signature-256": `sha256=${createHmac("sha256", secret.value).update(text).digest("hex")}`,
        },
        body: text,
        secret,
        signal,
      },
      "WebhookUnreachable",
    );
    if (status >= 200 && status < 300) return { status };
    const retryable = PASSING.has(status) || status >= 500;
    throw new SlipwayError(
      retryable ? "WebhookUnreachable" : "WebhookRejected",
      `the webhook answered ${status}`,
      {
        retryable,
        hint: "check webhook.url, and the key that the receiver verifies with; redirects are not followed",
      },
    );
  };
}
