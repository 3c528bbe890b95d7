/** Of the user in our images (images/slipway/Dockerfile, images/trainer/Dockerfile). */
const USER = 65_532;

/** Of a pod that works for the controller: it has no account, and needs none. */
export const WORK_POD = {
  restartPolicy: "Never",
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: USER,
    runAsGroup: USER,
    fsGroup: USER,
    seccompProfile: { type: "RuntimeDefault" },
  },
} as const;

/** Of a container that writes nowhere but into its volumes; what the restricted Pod Security Standard asks for. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;
