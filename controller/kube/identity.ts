import { SlipwayError } from "../errors.ts";

/** Whom a request is made as, by impersonation. */
export interface Impersonation {
  readonly user: string;
  readonly groups?: readonly string[];
}

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/**
 * The identity of a ServiceAccount. Groups are left to the API server: for a ServiceAccount's user name
 * without groups it sets system:serviceaccounts, system:serviceaccounts:NS and system:authenticated
 * itself, and the controller needs no right to impersonate groups.
 * @throws SlipwayError EmptyIdentity, InvalidIdentity: never falls back to the controller's own rights
 */
export function serviceAccountIdentity(namespace: string, name: string): Impersonation {
  if (!namespace || !name) {
    throw new SlipwayError("EmptyIdentity", "there is no ServiceAccount to act as", {
      hint: "set spec.serviceAccountName",
    });
  }
  if (!DNS_SUBDOMAIN.test(namespace) || !DNS_SUBDOMAIN.test(name)) {
    throw new SlipwayError(
      "InvalidIdentity",
      `${JSON.stringify(`${namespace}/${name}`)} is not a ServiceAccount's name`,
    );
  }
  return { user: `system:serviceaccount:${namespace}:${name}` };
}

/** The request headers for an impersonation; none without one. */
export function impersonationHeaders(as: Impersonation | undefined): Record<string, string | string[]> {
  if (!as) return {};
  if (!as.user) {
    // An empty header would be ignored, and the request made with the controller's own rights.
    throw new SlipwayError("EmptyIdentity", "refusing to impersonate an empty user name");
  }
  return {
    "impersonate-user": as.user,
    ...(as.groups?.length ? { "impersonate-group": [...as.groups] } : {}),
  };
}
