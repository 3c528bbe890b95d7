import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/resources.ts";
import { ready, reconciling, stalled } from "../runtime/conditions.ts";
import { completeStatus, mergePatch, sameStatus, statusOf } from "../runtime/status.ts";
import { STATUS_FIELD_MANAGER } from "../runtime/status-writer.ts";
import { resourceTypeOf } from "./apply.ts";
import type { Verdict } from "./repository-status.ts";

const REPOSITORY = resourceTypeOf("Repository");

/**
 * Writes a Repository's status when it says something new, locked to the version it was decided from.
 * `pullRequests` is left as it is: `writeSummaries` owns it.
 * @returns the object as it is now, for a second write in the same reconcile
 */
export async function writeRepositoryStatus(
  client: KubeClient,
  repository: Repository,
  status: RepositoryStatus,
  verdict: Verdict,
): Promise<Repository> {
  const object = repository as unknown as KubeObject;
  const { reason, message } = verdict;
  const conditions =
    verdict.ready === "True"
      ? ready(reason, message)
      : verdict.stalled
        ? stalled(reason, message)
        : reconciling(reason, message);
  const { pullRequests: _, ...own } = { ...status, conditions };
  const before = statusOf(object);
  const complete = completeStatus(object, { ...own, pullRequests: before.pullRequests }, new Date());
  if (sameStatus(complete, before)) return repository;
  const { uid, resourceVersion, namespace, name } = object.metadata;
  const patch = { metadata: { uid, resourceVersion }, status: mergePatch(before, complete) };
  return (await client.patch(REPOSITORY, namespace, name, patch, {
    contentType: "application/merge-patch+json",
    fieldManager: STATUS_FIELD_MANAGER,
    subresource: "status",
  })) as unknown as Repository;
}

/** Writes what became of the pull requests, and nothing else, when it differs. */
export async function writeSummaries(
  client: KubeClient,
  repository: Repository,
  list: NonNullable<RepositoryStatus["pullRequests"]>,
): Promise<void> {
  const before = repository.status?.pullRequests ?? [];
  if (JSON.stringify(before) === JSON.stringify(list)) return;
  const { namespace, name } = repository.metadata;
  await client.patch(
    REPOSITORY,
    namespace,
    name,
    { status: { pullRequests: list.length > 0 ? list : null } },
    {
      contentType: "application/merge-patch+json",
      fieldManager: STATUS_FIELD_MANAGER,
      subresource: "status",
    },
  );
}
