import { FIELD_MANAGER, LABEL_MANAGED_BY } from "../../../../schemas/kind.ts";
import { SlipwayError } from "../../../errors.ts";
import type { Json } from "../../../graph/canonical.ts";
import type { KubeClient } from "../../../kube/client.ts";
import { serviceAccountIdentity } from "../../../kube/identity.ts";
import { isForbidden, isNotFound } from "../../../kube/kube-error.ts";
import { type KubeObject, Namespace, type ResourceType } from "../../../kube/resources.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import { MONITOR } from "../../types.ts";
import { type RuleInput, type RuleOutput, ruleName } from "../actions/prometheus-rule.ts";
import { type RuleSelecting, takesUp } from "../actions/rule-selection.ts";

const coreos = (kind: string, plural: string): ResourceType => ({
  group: "monitoring.coreos.com",
  version: "v1",
  kind,
  plural,
  namespaced: true,
});
export const PROMETHEUS_RULE = coreos("PrometheusRule", "prometheusrules");
export const PROMETHEUS = coreos("Prometheus", "prometheuses");

/**
 * Applies the rule as the tenant, because what stands in it is evaluated with Prometheus' rights, and looks who takes
 * it up. It is no child: its type may be missing, and then nothing could be watched.
 */
export function prometheusRule(client: KubeClient): EffectHandler {
  return async (input, { signal }) => {
    const { namespace, serviceAccountName, monitor, rule } = input as unknown as RuleInput;
    const as = serviceAccountIdentity(namespace, serviceAccountName);
    try {
      if (!rule) {
        await client.delete(PROMETHEUS_RULE, namespace, ruleName(monitor.name), { as, signal });
        return {};
      }
      await client.apply(PROMETHEUS_RULE, owned(rule, monitor), {
        as,
        fieldManager: FIELD_MANAGER,
        force: true,
        signal,
      });
    } catch (error) {
      if (isNotFound(error)) return rule ? { missing: true } : {};
      if (!isForbidden(error)) throw error;
      throw new SlipwayError(
        "RuleForbidden",
        `ServiceAccount ${serviceAccountName} may not write PrometheusRules in ${namespace}`,
        { cause: error, hint: `slipway install --tenant ${namespace}/${serviceAccountName}` },
      );
    }
    return (await selection(client, rule, signal)) as unknown as Json;
  };
}

/** Goes with its Monitor. */
function owned(rule: KubeObject, { name, uid }: RuleInput["monitor"]): KubeObject {
  const { metadata } = rule;
  return {
    ...rule,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [LABEL_MANAGED_BY]: FIELD_MANAGER },
      ownerReferences: [
        {
          apiVersion: `${MONITOR.group}/${MONITOR.version}`,
          kind: MONITOR.kind,
          name,
          uid,
          controller: true,
        },
      ],
    },
  };
}

async function selection(client: KubeClient, rule: KubeObject, signal: AbortSignal): Promise<RuleOutput> {
  const { namespace = "", labels = {} } = rule.metadata;
  try {
    const [{ items }, home] = await Promise.all([
      client.list<KubeObject & RuleSelecting>(PROMETHEUS, { signal }),
      client.get(Namespace, undefined, namespace, { signal }),
    ]);
    const own = { ...labels, [LABEL_MANAGED_BY]: FIELD_MANAGER };
    const takers = items.filter((each) =>
      takesUp(each, { namespace, labels: own }, home.metadata.labels ?? {}),
    );
    return { selectedBy: takers.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).slice(0, 8) };
  } catch (error) {
    if (!isForbidden(error) && !isNotFound(error)) throw error;
    return { message: "the controller may not list Prometheus objects in all namespaces" };
  }
}
