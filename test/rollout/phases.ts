import type { ModelDeployment } from "../../schemas/model-deployment.ts";

/** It says that clients get no answer: neither Ready nor Available. */
export function isUnavailable({ status }: ModelDeployment): boolean {
  return !(status?.conditions ?? []).some(
    ({ type, status: is }) => (type === "Ready" || type === "Available") && is === "True",
  );
}
