import { FIELD_MANAGER } from "../../schemas/kind.ts";
import { SlipwayError } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { isConflict, isNotFound, KubeError } from "../kube/kube-error.ts";
import { type KubeObject, keyOf, splitKey } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { AppliedStore, ReportStore } from "../store/store.ts";
import { Children, objectId } from "./children.ts";
import type { EchoFilter } from "./echo.ts";
import { type EffectOwner, type EffectRunner, ownerName } from "./effects.ts";
import type { OwnWrites } from "./freshness.ts";
import type { EventNote, Kind, View } from "./kind.ts";
import { stalledStatus, suspendedStatus, troubledStatus } from "./status.ts";
import { StatusWriter } from "./status-writer.ts";

export interface EngineOptions {
  readonly client: Pick<KubeClient, "apply" | "delete" | "patch">;
  readonly applied: AppliedStore;
  readonly reports: Pick<ReportStore, "forget">;
  readonly effects: EffectRunner;
  readonly view: View;
  readonly events: Pick<EventRecorder, "record">;
  readonly writes: OwnWrites;
  readonly echoes: EchoFilter;
  /** Asked before anything is written: a process that was paused may have lost the lease. */
  readonly mayWrite: () => boolean;
  readonly wake: (object: KubeObject) => void;
  readonly log: Logger;
  readonly now?: () => Date;
}

export interface ReconcileResult {
  /** Absent: nothing but a change wakes the object. */
  readonly requeueAfterMs?: number;
  readonly result: "unchanged" | "changed" | "suspended" | "deleting" | "gone" | "stalled";
}

/** An error that only a person mends is tried again after this, in case it was mended elsewhere (RBAC, quota). */
const STALLED_RETRY_MS = 300_000;
/** What we wrote and the watch does not show is looked at again after it is no longer believed. */
const AWAITED_RETRY_MS = 31_000;
/** A retried error shows in the status from here on; before, it is noise. */
const TROUBLE_FAILURES = 3;
const TERMINAL_STATUS = new Set([400, 403, 405, 413, 422]);

/** Makes the cluster what a kind's decision says: children, effects, and one status write at the end. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #children: Children;
  readonly #status: StatusWriter;
  /** Objects that are gone and not cleaned up after, by their key. */
  readonly #gone = new Map<string, KubeObject[]>();

  constructor(options: EngineOptions) {
    const { now = () => new Date() } = options;
    this.#options = options;
    this.#children = new Children(options);
    this.#status = new StatusWriter({ ...options, now });
  }

  /** Notes a deletion. The next `reconcile` of the key cleans up, so that nothing else of it runs meanwhile. */
  gone(kind: Kind, object: KubeObject): void {
    const key = `${kind.type.kind}/${keyOf(object)}`;
    this.#gone.set(key, [...(this.#gone.get(key) ?? []), object]);
  }

  /**
   * @param key `namespace/name`
   * @param failures how often this key has failed in a row
   * @throws what is worth another try
   */
  async reconcile(kind: Kind, key: string, signal: AbortSignal, failures = 0): Promise<ReconcileResult> {
    const { view, mayWrite } = this.#options;
    const { namespace = "", name } = splitKey(key);
    if (!mayWrite())
      throw new SlipwayError("NotLeading", "this process does not lead any more", { retryable: true });
    await this.#cleanUp(kind, key);
    const object = view.get(kind.type, namespace, name);
    if (!object) return { result: "gone" };
    const id = objectId(kind.type, namespace, name);
    if (object.metadata.deletionTimestamp !== undefined) {
      return this.#release(kind, object);
    }
    try {
      if (kind.finalizer?.needed(object) && !hasFinalizer(kind, object)) {
        const finalizers = [...(object.metadata.finalizers ?? []), kind.finalizer.name];
        await this.#setFinalizers(kind, object, finalizers);
        return { result: "changed" };
      }
      if (!kind.suspends && (object.spec as { suspend?: unknown } | undefined)?.suspend === true) {
        await this.#status.write(kind.type, id, object, suspendedStatus(object), signal);
        return { result: "suspended" };
      }
      return await this.#act(kind, id, object, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      return await this.#fail(kind, id, object, error, { signal, failures });
    }
  }

  async #act(kind: Kind, id: string, object: KubeObject, signal: AbortSignal): Promise<ReconcileResult> {
    const { view, effects, events } = this.#options;
    const decision = kind.decide(kind.observe(object, view), this.#now());
    const children = await this.#children.reconcile(object, kind.childTypes, decision, signal);
    await effects.retain(ownerOf(kind, object), decision.effects);
    const written = await this.#status.write(kind.type, id, object, decision.status as object, signal);
    if (written) for (const event of decision.events ?? []) events.record(object, event);
    const waits = [decision.requeueAfterMs, children.awaited ? AWAITED_RETRY_MS : undefined];
    const requeueAfterMs = Math.min(...waits.filter((wait) => wait !== undefined));
    return {
      result: written || children.applied + children.deleted > 0 ? "changed" : "unchanged",
      ...(Number.isFinite(requeueAfterMs) ? { requeueAfterMs } : {}),
    };
  }

  /** Ends what a deleted object has outside of the cluster, then lets it go. */
  async #release(kind: Kind, object: KubeObject): Promise<ReconcileResult> {
    const { effects, view, log } = this.#options;
    const owner = ownerOf(kind, object);
    const request = hasFinalizer(kind, object) ? kind.finalizer?.release(object, view) : undefined;
    const outcome = request && view.effect(owner.ref, request.name, request.inputDigest);
    const failed = outcome?.state === "Failed" ? outcome.error : undefined;
    if (request && outcome?.state !== "Succeeded" && !(failed && !failed.retryable)) {
      await effects.retain(owner, [{ ...request, attempt: (outcome?.attempt ?? 1) + (failed ? 1 : 0) }]);
      return { result: "deleting" };
    }
    await effects.abort(owner);
    if (failed)
      log.error({ object: keyOf(object), code: failed.code }, "what it has elsewhere could not be ended");
    if (hasFinalizer(kind, object)) {
      const left = (object.metadata.finalizers ?? []).filter((name) => name !== kind.finalizer?.name);
      await this.#setFinalizers(kind, object, left);
    }
    return { result: "deleting" };
  }

  async #setFinalizers(kind: Kind, object: KubeObject, finalizers: readonly string[]): Promise<void> {
    const { namespace, name, resourceVersion } = object.metadata;
    const body = { metadata: { finalizers, resourceVersion } };
    await this.#options.client.patch(kind.type, namespace, name, body, {
      contentType: "application/merge-patch+json",
      fieldManager: FIELD_MANAGER,
    });
  }

  /** Says in the status what a person has to mend; throws what is worth another try. */
  async #fail(
    kind: Kind,
    id: string,
    object: KubeObject,
    error: unknown,
    { signal, failures }: { signal: AbortSignal; failures: number },
  ): Promise<ReconcileResult> {
    const { writes, log } = this.#options;
    // Deleted, or changed, since the cache was read: the watch is about to say so.
    if (isNotFound(error)) writes.forget(id);
    if (isNotFound(error) || isConflict(error)) throw error;
    const { code, message, hint } = describe(error);
    const text = hint ? `${message} (${hint})` : message;
    if (isTerminal(error)) {
      log.warn({ err: error, kind: kind.type.kind, object: keyOf(object) }, "cannot go on without a person");
      const note: EventNote = { type: "Warning", reason: code, note: text };
      const written = await this.#status.write(
        kind.type,
        id,
        object,
        stalledStatus(object, code, text),
        signal,
      );
      if (written) this.#options.events.record(object, note);
      return { result: "stalled", requeueAfterMs: STALLED_RETRY_MS };
    }
    if (failures >= TROUBLE_FAILURES) {
      await this.#status
        .write(kind.type, id, object, troubledStatus(object, code, text), signal)
        .catch((err) => log.debug({ err }, "cannot write the trouble into the status either"));
    }
    throw error;
  }

  async #cleanUp(kind: Kind, key: string): Promise<void> {
    const { effects, reports, applied, view, echoes, writes } = this.#options;
    const goneKey = `${kind.type.kind}/${key}`;
    for (const object of this.#gone.get(goneKey) ?? []) {
      const { namespace = "", name, uid = "" } = object.metadata;
      const id = objectId(kind.type, namespace, name);
      await effects.forget(ownerOf(kind, object));
      await reports.forget(ownerName(ownerOf(kind, object)));
      // The cluster's garbage collector deletes the children; what we know of them goes here.
      for (const type of kind.childTypes) {
        for (const child of view.children(type, uid)) {
          await applied.delete(objectId(type, namespace, child.metadata.name));
        }
      }
      this.#status.forget(id);
      echoes.forget(id);
      writes.deleted(id, object);
    }
    this.#gone.delete(goneKey);
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}

function hasFinalizer({ finalizer }: Kind, { metadata }: KubeObject): boolean {
  return finalizer !== undefined && (metadata.finalizers ?? []).includes(finalizer.name);
}

export function ownerOf(kind: Kind, object: KubeObject): EffectOwner {
  const { namespace = "", name, uid = "" } = object.metadata;
  return { ref: { kind: kind.type.kind, namespace, name }, uid };
}

function isTerminal(error: unknown): boolean {
  if (error instanceof KubeError) return TERMINAL_STATUS.has(error.status);
  return error instanceof SlipwayError && !error.retryable;
}

/** What is not a SlipwayError is a fault of ours: its text goes to the log, not into the cluster. */
function describe(error: unknown): { code: string; message: string; hint?: string | undefined } {
  if (error instanceof SlipwayError) return error;
  return { code: "InternalError", message: "an unforeseen error; see the controller's log" };
}
