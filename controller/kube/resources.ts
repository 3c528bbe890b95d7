/** One served resource type, as a discovery document names it. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The path segment: lower-case plural. */
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ManagedFieldsEntry {
  manager?: string;
  operation?: string;
  apiVersion?: string;
  time?: string;
  fieldsType?: string;
  fieldsV1?: Record<string, unknown>;
  subresource?: string;
}

export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFieldsEntry[];
  creationTimestamp?: string;
  deletionTimestamp?: string;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** `namespace/name`, or `name` for what is cluster-scoped: the form that queues and stores use. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** The inverse of {@link objectKey}. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  if (slash < 0) return { namespace: undefined, name: key };
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return objectKey(object.metadata.namespace, object.metadata.name);
}

/** `group/version`, or `version` for the core group. */
export function apiVersionOf(type: { group: string; version: string }): string {
  return type.group ? `${type.group}/${type.version}` : type.version;
}

/**
 * The URL path of a collection, an object or a subresource. Every part is escaped and refused when it
 * could climb to another path, since names reach this function from files that anyone may propose.
 * Without a namespace, a namespaced type's path is the collection across all namespaces.
 * @throws RangeError for a name or namespace that no API server would accept as a path segment
 */
export function resourcePath(
  type: ResourceType,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  if (type.namespaced && name !== undefined && !namespace) {
    throw new RangeError(`${type.kind} ${JSON.stringify(name)} is namespaced: give its namespace`);
  }
  const root = type.group
    ? `/apis/${segment(type.group)}/${segment(type.version)}`
    : `/api/${segment(type.version)}`;
  const parts = [root];
  if (type.namespaced && namespace) parts.push("namespaces", segment(namespace));
  parts.push(segment(type.plural));
  if (name !== undefined) parts.push(segment(name));
  if (subresource !== undefined) parts.push(segment(subresource));
  return parts.join("/");
}

/** The rule of apimachinery's `path.IsValidPathSegmentName`. */
function segment(text: string): string {
  if (text === "" || text === "." || text === ".." || /[/%]/.test(text)) {
    throw new RangeError(`${JSON.stringify(text)} is not a usable name`);
  }
  return encodeURIComponent(text);
}

function builtIn(
  group: string,
  version: string,
  kind: string,
  plural: string,
  namespaced = true,
): ResourceType {
  return { group, version, kind, plural, namespaced };
}

export const ConfigMap = builtIn("", "v1", "ConfigMap", "configmaps");
export const Secret = builtIn("", "v1", "Secret", "secrets");
export const Service = builtIn("", "v1", "Service", "services");
export const Pod = builtIn("", "v1", "Pod", "pods");
export const ServiceAccount = builtIn("", "v1", "ServiceAccount", "serviceaccounts");
export const PersistentVolumeClaim = builtIn("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
export const Namespace = builtIn("", "v1", "Namespace", "namespaces", false);
export const Node = builtIn("", "v1", "Node", "nodes", false);
export const Event = builtIn("events.k8s.io", "v1", "Event", "events");
export const Lease = builtIn("coordination.k8s.io", "v1", "Lease", "leases");
export const Deployment = builtIn("apps", "v1", "Deployment", "deployments");
export const ReplicaSet = builtIn("apps", "v1", "ReplicaSet", "replicasets");
export const Job = builtIn("batch", "v1", "Job", "jobs");
export const Role = builtIn("rbac.authorization.k8s.io", "v1", "Role", "roles");
export const RoleBinding = builtIn("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
export const ClusterRole = builtIn("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false);
export const ClusterRoleBinding = builtIn(
  "rbac.authorization.k8s.io",
  "v1",
  "ClusterRoleBinding",
  "clusterrolebindings",
  false,
);
export const CustomResourceDefinition = builtIn(
  "apiextensions.k8s.io",
  "v1",
  "CustomResourceDefinition",
  "customresourcedefinitions",
  false,
);
