import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { canonicalJson } from "../graph/canonical.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { KubeObject } from "../kube/resources.ts";
import { ready, reconciling, stalled, suspended } from "../runtime/conditions.ts";
import { olderThan } from "../runtime/freshness.ts";
import { completeStatus, mergePatch, sameStatus, statusOf } from "../runtime/status.ts";
import { STATUS_FIELD_MANAGER } from "../runtime/status-writer.ts";
import { resourceTypeOf } from "./apply.ts";
import type { Verdict } from "./repository-status.ts";

const REPOSITORY = resourceTypeOf("Repository");

/**
 * Writes a Repository's status when it says something new, locked to the version that is known last.
 * `pullRequests` is left as it is: `writeSummaries` owns it.
 * @param repository what the status was decided from
 * @param status undefined to leave everything but the conditions as it is: nothing was decided
 * @param cached what the watch has shown since: a fetch takes long enough for an annotation or a summary to come
 *   in between, and what changes neither the spec nor the sync's own status does not make the decision wrong
 * @returns the object as it is now, for a second write in the same reconcile
 * @throws KubeError Conflict when the inventory, or what was applied last, is another by now
 */
export async function writeRepositoryStatus(
  client: KubeClient,
  repository: Repository,
  status: RepositoryStatus | undefined,
  verdict: Verdict,
  cached?: KubeObject,
): Promise<Repository> {
  const object = rebased(repository as unknown as KubeObject, cached);
  const before = statusOf(object);
  if (status !== undefined && object !== (repository as unknown)) {
    const from = statusOf(repository as unknown as KubeObject);
    if (canonicalJson(syncedPart(before)) !== canonicalJson(syncedPart(from))) {
      const { namespace, name } = object.metadata;
      throw new KubeError(409, "Conflict", `the inventory of Repository ${namespace}/${name} has changed`);
    }
  }
  const decided: RepositoryStatus = status ?? (before as RepositoryStatus);
  const { pullRequests: _, ...own }: RepositoryStatus = { ...decided, conditions: conditionsOf(verdict) };
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

function conditionsOf({ ready: is, stalled: person, reason, message }: Verdict) {
  if (is === "Unknown") return suspended();
  if (is === "True") return ready(reason, message);
  return person ? stalled(reason, message) : reconciling(reason, message);
}

/** What a sync decides from, and must not put back to what it was. */
const syncedPart = ({ inventory, lastAppliedRevision }: RepositoryStatus) => ({
  entries: inventory?.entries ?? [],
  lastAppliedRevision,
});

/** The newest version with the same spec, asked for what the status was decided for. */
function rebased(decidedFrom: KubeObject, cached: KubeObject | undefined): KubeObject {
  const { uid, generation, resourceVersion, annotations } = decidedFrom.metadata;
  const newer =
    cached?.metadata.uid === uid &&
    cached?.metadata.generation === generation &&
    olderThan(resourceVersion, cached?.metadata.resourceVersion);
  if (!cached || !newer) return decidedFrom;
  const { annotations: _, ...metadata } = cached.metadata;
  // A request that came later is not handled yet.
  return { ...cached, metadata: { ...metadata, ...(annotations ? { annotations } : {}) } };
}

/** Writes what became of the pull requests, and nothing else, when it differs. */
export async function writeSummaries(
  client: KubeClient,
  repository: Repository,
  list: NonNullable<RepositoryStatus["pullRequests"]>,
): Promise<void> {
  const before = repository.status?.pullRequests ?? [];
  // The API server sorts an object's keys.
  if (canonicalJson(before) === canonicalJson(list)) return;
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
