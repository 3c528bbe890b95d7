import { z } from "zod";
import { durationBetween, localRef, objectName, repositoryPath, secretKeyRef, withRules } from "./common.ts";

const address = z
  .string()
  .min(8)
  .max(2048)
  .regex(/^https?:\/\/[^\p{Z}\p{Cc}@#]+$/u);
const labels = z.record(z.string().max(128), z.string().max(512)).meta({ maxProperties: 16 });

const SECTIONS = {
  Alertmanager: "alertmanager",
  Webhook: "webhook",
  PrometheusRule: "prometheusRule",
  OpenPullRequest: "openPullRequest",
} as const;

/** Whom a Monitor tells, and how. */
export const action = withRules(
  z.strictObject({
    name: objectName,
    type: z
      .enum(["Alertmanager", "Webhook", "PrometheusRule", "OpenPullRequest"])
      .describe(
        "Alertmanager: an alert for each signal in WARNING or ALERT. Webhook: a signed request for each transition. PrometheusRule: the same limits as alerts of Prometheus itself. OpenPullRequest: the failing cases of a replay, for a suite's case file.",
      ),
    alertmanager: z
      .strictObject({
        url: address.describe("Base of Alertmanager's API, such as http://alertmanager.monitoring.svc:9093."),
        secretRef: secretKeyRef
          .optional()
          .describe(
            "A bearer token. The Secret's annotation slipway.dev/allowed-hosts must name Alertmanager's host and port.",
          ),
        labels: labels.optional().describe("Further labels of the alerts, for routing."),
        resend: durationBetween("1s", "1h")
          .default("1m")
          .describe("How often a firing alert is sent again; it expires after four times that."),
      })
      .optional(),
    webhook: z
      .strictObject({
        url: address,
        secretRef: secretKeyRef.describe(
          "The key that signs the body: X-Slipway-Signature-256 is sha256= and HMAC-SHA256 in hex. The Secret's annotation slipway.dev/allowed-hosts must name the url's host.",
        ),
      })
      .optional(),
    prometheusRule: z
      .strictObject({
        labels: labels.optional().describe("Labels that a Prometheus' ruleSelector asks for."),
      })
      .optional(),
    openPullRequest: z
      .strictObject({
        suiteRef: localRef.describe(
          "The EvalSuite that gets the failing cases of replays, in the git repository that it came from. That Repository needs the section forge, with a token that may push branches.",
        ),
        file: repositoryPath
          .optional()
          .describe("The case file, relative to the Repository's path; the suite's first unless given."),
      })
      .optional(),
  }),
  {
    rule: Object.entries(SECTIONS)
      .map(([type, section]) => `(self.type == '${type}') == has(self.${section})`)
      .join(" && "),
    message: "an action needs the section that its type names, and no other",
    check: (self) =>
      Object.entries(SECTIONS).every(
        ([type, section]) => (self.type === type) === (self[section] !== undefined),
      ),
  },
);
export type MonitorAction = z.infer<typeof action>;
