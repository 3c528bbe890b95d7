import { SlipwayError } from "../../../errors.ts";
import type { SecretReader } from "../../../kube/secrets.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { AlertmanagerInput } from "../actions/alertmanager.ts";
import { callOut } from "./http.ts";
import { secretFor } from "./secret.ts";

/** https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: postAlerts. Sending again changes nothing. */
export function alertmanager(secrets: SecretReader): EffectHandler {
  return async (input, { signal }) => {
    const { url, secretRef, alerts, validMs, ...tenant } = input as unknown as AlertmanagerInput;
    const secret = secretRef && (await secretFor(secretRef, tenant, secrets));
    const until = new Date(Date.now() + validMs).toISOString();
    const { status, text } = await callOut(
      {
        url: `${url.replace(/\/+$/, "")}/api/v2/alerts`,
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(secret ? { authorization: `Bearer ${secret.value}` } : {}),
        },
        body: JSON.stringify(alerts.map((alert) => ({ endsAt: until, ...alert }))),
        signal,
        ...(secret ? { secret } : {}),
      },
      "AlertmanagerUnreachable",
    );
    if (status >= 200 && status < 300) return { sent: alerts.length };
    const retryable = status >= 500 || status === 429;
    throw new SlipwayError(
      retryable ? "AlertmanagerUnreachable" : "AlertmanagerRejected",
      `Alertmanager answered ${status}${status === 400 ? `: ${text.slice(0, 200)}` : ""}`,
      { retryable, hint: "url is the base of Alertmanager's API, without /api/v2" },
    );
  };
}
