import { digestOf } from "../graph/canonical.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject, ResourceType } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { EchoFilter } from "./echo.ts";
import type { OwnWrites } from "./freshness.ts";
import { completeStatus, mergePatch, type Status, sameStatus, statusOf } from "./status.ts";

export interface StatusWriterOptions {
  readonly client: Pick<KubeClient, "patch">;
  readonly writes: OwnWrites;
  readonly echoes: EchoFilter;
  readonly now: () => Date;
  readonly log: Logger;
  /** A held event turned out to be somebody else's. */
  readonly wake: (object: KubeObject) => void;
}

export const STATUS_FIELD_MANAGER = "slipway-status";

/**
 * Writes a status only when it says something new, with one request: a JSON merge patch of the difference,
 * locked to the version that it was decided from. Why not server-side apply: it would leave alone what another
 * manager has put into our status, so that "the whole status" were not what `kubectl get` shows, and it has no
 * lock, so that a decision from a stale cache could overwrite a newer one.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  /** What was written last, for statuses that do not come back as they were sent. */
  readonly #last = new Map<string, { digest: string; resourceVersion: string | undefined }>();

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /**
   * @param id names the object among all types
   * @returns whether a request was made
   * @throws KubeError; a Conflict when the object has changed since it was read
   */
  async write(
    type: ResourceType,
    id: string,
    object: KubeObject,
    decided: object,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, writes, echoes, log } = this.#options;
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const status = completeStatus(object, decided, this.#options.now());
    if (sameStatus(status, statusOf(object))) return false;
    const digest = digestOf(status);
    const last = this.#last.get(id);
    if (last?.digest === digest && last.resourceVersion === resourceVersion) return false;
    const patch = { metadata: { uid, resourceVersion }, status: mergePatch(statusOf(object), status) };
    let written: KubeObject | undefined;
    echoes.begin(id);
    try {
      written = await client.patch(type, namespace, name, patch, {
        contentType: "application/merge-patch+json",
        fieldManager: STATUS_FIELD_MANAGER,
        subresource: "status",
        signal,
      });
    } finally {
      if (echoes.end(id, written?.metadata.resourceVersion)) this.#options.wake(object);
    }
    writes.wrote(id, written);
    this.#last.set(id, { digest, resourceVersion: written.metadata.resourceVersion });
    if (!sameStatus(status, statusOf(written))) {
      log.warn(
        { kind: type.kind, namespace, name, fields: differing(status, statusOf(written)) },
        "the API server did not keep the status as it was sent; are the CRDs of this release installed?",
      );
    }
    return true;
  }

  forget(id: string): void {
    this.#last.delete(id);
  }
}

function differing(sent: Status, kept: Status): string[] {
  return Object.keys({ ...mergePatch(sent, kept), ...mergePatch(kept, sent) });
}
