import { setTimeout as sleep } from "node:timers/promises";
import { REPOSITORY } from "../../../controller/kinds/types.ts";
import { ANNOTATION_REQUESTED_AT } from "../../../schemas/kind.ts";
import type { Repository } from "../../../schemas/repository.ts";
import type { AuditLog } from "../../scenario/audit.ts";
import { waitForObject } from "../../scenario/cluster.ts";
import type { FollowedRepository } from "../../scenario/followed-repository.ts";

/** How long nothing may be asked for before the controller counts as done. */
const SILENCE_MS = 2_000;
export const TIMEOUT_MS = 120_000;

/** Waits until the controller has asked for nothing in a while. */
export async function silence(audit: AuditLog): Promise<void> {
  const until = performance.now() + TIMEOUT_MS;
  let before = -1;
  let now = (await audit.ofController()).length;
  while (now !== before) {
    if (performance.now() > until) throw new Error("the controller does not come to rest");
    await sleep(SILENCE_MS);
    before = now;
    now = (await audit.ofController()).length;
  }
}

/** Asks for a reconcile of the Repository, and waits until it was done at this commit. */
export async function reconcileNow(team: FollowedRepository, commit: string): Promise<void> {
  const { client, namespace, name } = team;
  const requested = new Date().toISOString();
  const annotations = { [ANNOTATION_REQUESTED_AT]: requested };
  const options = { contentType: "application/merge-patch+json", fieldManager: "test" } as const;
  await client.patch(REPOSITORY, namespace, name, { metadata: { annotations } }, options);
  await waitForObject<Repository>(
    client,
    ["Repository", namespace, name],
    `handled at ${commit}`,
    ({ status }) => status?.lastHandledRequestedAt === requested && status.lastAppliedRevision === commit,
    TIMEOUT_MS,
  );
}
