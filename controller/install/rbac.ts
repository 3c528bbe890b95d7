import { KINDS } from "../../schemas/index.ts";
import { FIELD_MANAGER, GROUP, LABEL_MANAGED_BY } from "../../schemas/kind.ts";
import type { KubeObject } from "../kube/resources.ts";

export const SYSTEM_NAMESPACE = "slipway-system";
export const CONTROLLER_ACCOUNT = "slipway-controller";

export type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };
type Subject =
  | { kind: "ServiceAccount"; name: string; namespace: string }
  | { kind: "User"; name: string; apiGroup: string };

const RBAC = "rbac.authorization.k8s.io/v1";
const labels = { [LABEL_MANAGED_BY]: FIELD_MANAGER };
const READ = ["get", "list", "watch"];

const plurals = KINDS.map(({ plural }) => plural);
/** What tenants own: all that people write, apart from the Repository that brings it. */
const owned = KINDS.filter(({ kind, internal }) => !internal && kind !== "Repository").map(
  ({ plural }) => plural,
);

/** What the controller itself may do: no reading of Secrets, and no impersonation beyond the named tenants. */
export const CONTROLLER_RULES: readonly Rule[] = [
  { apiGroups: [GROUP], resources: plurals, verbs: READ },
  { apiGroups: [GROUP], resources: ["evalruns"], verbs: ["create", "patch", "delete"] },
  // For its finalizer: a provider's paid job is cancelled before the object goes.
  { apiGroups: [GROUP], resources: ["finetunejobs"], verbs: ["patch"] },
  {
    apiGroups: [GROUP],
    resources: plurals.map((plural) => `${plural}/status`),
    verbs: ["get", "patch", "update"],
  },
  // Owner references with blockOwnerDeletion need it where OwnerReferencesPermissionEnforcement is on.
  {
    apiGroups: [GROUP],
    resources: ["repositories", ...owned].map((plural) => `${plural}/finalizers`),
    verbs: ["update"],
  },
  { apiGroups: [""], resources: ["configmaps"], verbs: [...READ, "create", "patch", "delete"] },
  { apiGroups: ["batch"], resources: ["jobs"], verbs: [...READ, "create", "patch", "delete"] },
  { apiGroups: ["apps"], resources: ["deployments"], verbs: [...READ, "create", "patch", "delete"] },
  {
    apiGroups: [""],
    resources: ["services", "persistentvolumeclaims"],
    verbs: [...READ, "create", "patch", "delete"],
  },
  { apiGroups: [""], resources: ["pods"], verbs: READ },
  // Tokens of pods: made, and never read (docs/adr/007-tokens-are-created-not-read.md).
  { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
  // Whether some Prometheus takes up the rule of a Monitor. The rule itself is the tenant's to write.
  { apiGroups: ["monitoring.coreos.com"], resources: ["prometheuses"], verbs: ["list"] },
  { apiGroups: [""], resources: ["namespaces"], verbs: ["get"] },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
];

/** What a tenant's ServiceAccount may do in its namespace: own its kinds, and read the Secrets that they name. */
export const TENANT_RULES: readonly Rule[] = [
  { apiGroups: [GROUP], resources: owned, verbs: ["get", "create", "patch", "update", "delete"] },
  { apiGroups: [""], resources: ["secrets"], verbs: ["get"] },
  {
    apiGroups: ["monitoring.coreos.com"],
    resources: ["prometheusrules"],
    verbs: ["create", "patch", "delete"],
  },
];

function role(
  kind: "ClusterRole" | "Role",
  name: string,
  rules: readonly Rule[],
  namespace?: string,
): KubeObject {
  return { apiVersion: RBAC, kind, metadata: { name, labels, ...(namespace ? { namespace } : {}) }, rules };
}

/** @param name of the role, @param own the binding's own name */
function binding(
  kind: "ClusterRole" | "Role",
  name: string,
  subject: Subject,
  namespace?: string,
  own = name,
): KubeObject {
  return {
    apiVersion: RBAC,
    kind: `${kind}Binding`,
    metadata: { name: own, labels, ...(namespace ? { namespace } : {}) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
    subjects: [subject],
  };
}

/** Who the controller is: its ServiceAccount in a cluster, or the user of a kubeconfig. */
export function controllerSubject(user: string | undefined): Subject {
  return user === undefined
    ? { kind: "ServiceAccount", name: CONTROLLER_ACCOUNT, namespace: SYSTEM_NAMESPACE }
    : { kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" };
}

/** In the controller's own namespace. */
export const LEASE_RULES: readonly Rule[] = [
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update", "patch"] },
];

/** Namespace, account and rights of the controller. */
export function controllerObjects(subject: Subject): KubeObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: SYSTEM_NAMESPACE, labels } },
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: CONTROLLER_ACCOUNT, namespace: SYSTEM_NAMESPACE, labels },
    },
    role("ClusterRole", "slipway-controller", CONTROLLER_RULES),
    binding("ClusterRole", "slipway-controller", subject),
    role("Role", "slipway-leader-election", LEASE_RULES, SYSTEM_NAMESPACE),
    binding("Role", "slipway-leader-election", subject, SYSTEM_NAMESPACE),
  ];
}

/** A tenant: a ServiceAccount with its rights, and the right of the controller to act as exactly this account. */
export function tenantObjects(namespace: string, account: string, subject: Subject): KubeObject[] {
  const tenant: Subject = { kind: "ServiceAccount", name: account, namespace };
  const impersonate: Rule[] = [
    { apiGroups: [""], resources: ["serviceaccounts"], verbs: ["impersonate"], resourceNames: [account] },
  ];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account, namespace, labels } },
    role("Role", "slipway-tenant", TENANT_RULES, namespace),
    // A binding of its own for each account: the role is the namespace's, and may have several.
    binding("Role", "slipway-tenant", tenant, namespace, `slipway-tenant-${account}`),
    role("Role", `slipway-act-as-${account}`, impersonate, namespace),
    binding("Role", `slipway-act-as-${account}`, subject, namespace),
  ];
}
