/** A metav1.LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | (string & {});
    readonly values?: readonly string[];
  }[];
}

type Labels = Readonly<Record<string, string>>;

/** As in k8s.io/apimachinery: an empty selector matches everything, none at all nothing. */
export function selects(selector: LabelSelector | undefined | null, labels: Labels): boolean {
  if (!selector) return false;
  const pairs = Object.entries(selector.matchLabels ?? {});
  return (
    pairs.every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case "In":
          return value !== undefined && values.includes(value);
        case "NotIn":
          return value === undefined || !values.includes(value);
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

/** The part of a Prometheus object (monitoring.coreos.com/v1) that says which rules it takes up. */
export interface RuleSelecting {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly ruleSelector?: LabelSelector | null;
    readonly ruleNamespaceSelector?: LabelSelector | null;
  };
}

/**
 * Whether the operator gives a rule to this Prometheus. Without ruleSelector it takes none; without
 * ruleNamespaceSelector only those of its own namespace.
 * https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusSpec
 */
export function takesUp(
  prometheus: RuleSelecting,
  rule: { readonly namespace: string; readonly labels: Labels },
  namespaceLabels: Labels,
): boolean {
  const { ruleSelector, ruleNamespaceSelector } = prometheus.spec ?? {};
  if (!selects(ruleSelector, rule.labels)) return false;
  return ruleNamespaceSelector
    ? selects(ruleNamespaceSelector, namespaceLabels)
    : prometheus.metadata.namespace === rule.namespace;
}
