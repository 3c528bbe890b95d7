import { FIELD_MANAGER, GROUP, LABEL_MANAGED_BY } from "../../schemas/kind.ts";
import type { KubeObject } from "../kube/resources.ts";

export const SYSTEM_NAMESPACE = "slipway-system";
export const CONTROLLER_ACCOUNT = "slipway-controller";

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };
type Subject =
  | { kind: "ServiceAccount"; name: string; namespace: string }
  | { kind: "User"; name: string; apiGroup: string };

const RBAC = "rbac.authorization.k8s.io/v1";
const labels = { [LABEL_MANAGED_BY]: FIELD_MANAGER };
const READ = ["get", "list", "watch"];

/** What the controller itself may do: nothing with Secrets, and no impersonation beyond the named tenants. */
const CONTROLLER_RULES: Rule[] = [
  {
    apiGroups: [GROUP],
    resources: ["repositories", "prompttemplates", "modeldeployments", "evalsuites", "evalruns"],
    verbs: READ,
  },
  { apiGroups: [GROUP], resources: ["evalruns"], verbs: ["create", "patch", "delete"] },
  {
    apiGroups: [GROUP],
    resources: [
      "repositories/status",
      "prompttemplates/status",
      "modeldeployments/status",
      "evalsuites/status",
      "evalruns/status",
    ],
    verbs: ["get", "patch", "update"],
  },
  // Owner references with blockOwnerDeletion need it where OwnerReferencesPermissionEnforcement is on.
  {
    apiGroups: [GROUP],
    resources: [
      "repositories/finalizers",
      "prompttemplates/finalizers",
      "modeldeployments/finalizers",
      "evalsuites/finalizers",
    ],
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
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
];

/** What a tenant's ServiceAccount may do in its namespace: own its kinds, and read the Secrets that they name. */
const TENANT_RULES: Rule[] = [
  {
    apiGroups: [GROUP],
    resources: ["prompttemplates", "modeldeployments", "evalsuites"],
    verbs: ["get", "create", "patch", "update", "delete"],
  },
  { apiGroups: [""], resources: ["secrets"], verbs: ["get"] },
];

function role(kind: "ClusterRole" | "Role", name: string, rules: Rule[], namespace?: string): KubeObject {
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

/** Namespace, account and rights of the controller. */
export function controllerObjects(subject: Subject): KubeObject[] {
  const leases: Rule[] = [
    {
      apiGroups: ["coordination.k8s.io"],
      resources: ["leases"],
      verbs: ["get", "create", "update", "patch"],
    },
  ];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: SYSTEM_NAMESPACE, labels } },
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: CONTROLLER_ACCOUNT, namespace: SYSTEM_NAMESPACE, labels },
    },
    role("ClusterRole", "slipway-controller", CONTROLLER_RULES),
    binding("ClusterRole", "slipway-controller", subject),
    role("Role", "slipway-leader-election", leases, SYSTEM_NAMESPACE),
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
