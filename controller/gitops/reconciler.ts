import { durationMs } from "../../schemas/common.ts";
import { ANNOTATION_REQUESTED_AT, FIELD_MANAGER, LABEL_REPOSITORY } from "../../schemas/kind.ts";
import type { InventoryEntry, Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { describeError, SlipwayError } from "../errors.ts";
import { ownedFieldsHash } from "../kube/apply.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { serviceAccountIdentity } from "../kube/identity.ts";
import { isConflict } from "../kube/kube-error.ts";
import { type KubeObject, objectKey } from "../kube/resources.ts";
import type { ObjectStore } from "../kube/store.ts";
import { ownerName } from "../runtime/effects.ts";
import { OwnWrites } from "../runtime/freshness.ts";
import type { StateStore } from "../store/store.ts";
import { type ApplyTarget, applyNodes, pruneEntries } from "./apply.ts";
import { inventoryId, type LiveObject, type Plan, parseInventoryId, planSync } from "./plan.ts";
import { SUSPENDED, type SyncResult, statusErrors, type Verdict, verdictOf } from "./repository-status.ts";
import type { Snapshot } from "./snapshot.ts";
import type { RepositorySources } from "./sources.ts";

export interface RepositoryDependencies {
  readonly client: KubeClient;
  readonly repositories: ObjectStore<KubeObject>;
  /** The store of each kind that can come from git. */
  readonly objects: ReadonlyMap<string, ObjectStore<KubeObject>>;
  readonly state: StateStore;
  readonly sources: RepositorySources;
  readonly recorder: EventRecorder;
  /** Writes the status if it differs: conditions from the verdict, the rest as given, or as it is. */
  readonly writeStatus: (
    repository: Repository,
    status: RepositoryStatus | undefined,
    verdict: Verdict,
  ) => Promise<Repository>;
  /** Reconciles an object again, although nothing changed. */
  readonly wake: (kind: string, namespace: string, name: string) => void;
  /** The branch has moved: pull requests compare with a new base. */
  readonly onCommit: (key: string) => void;
  readonly now: () => number;
}

interface Session {
  commit?: string;
  fetchedAt: number;
  url: string;
  branch: string;
  /** Objects wait for others to be Ready before they are deleted: wake on every change. */
  waiting: boolean;
}

/** Follows a git repository: fetch, load, plan, apply, prune, status. */
export class RepositoryReconciler {
  readonly #deps: RepositoryDependencies;
  readonly #sessions = new Map<string, Session>();
  readonly #poked = new Set<string>();
  /** What was applied and the watch has not shown yet. */
  readonly #writes = new OwnWrites();

  constructor(dependencies: RepositoryDependencies) {
    this.#deps = dependencies;
  }

  /** The next reconcile of this repository fetches, whatever the interval says (a webhook came). */
  poke(key: string): void {
    this.#poked.add(key);
  }

  /**
   * The repository to wake for a change of one of its objects, or undefined when the object is as we left it.
   * @param before what the store had, @param after what it has now
   */
  affected(before: KubeObject | undefined, after: KubeObject | undefined): string | undefined {
    const object = after ?? before;
    const repository =
      object?.metadata.labels?.[LABEL_REPOSITORY] ?? before?.metadata.labels?.[LABEL_REPOSITORY];
    if (!object || repository === undefined) return undefined;
    const { namespace = "", name } = object.metadata;
    const key = objectKey(namespace, repository);
    if (before && !after) this.#writes.deleted(inventoryId(namespace, name, before.kind), before);
    if (this.#sessions.get(key)?.waiting) return key;
    const left = this.#deps.state.applied.get(inventoryId(namespace, name, object.kind));
    if (!left) return undefined;
    if (!after) return left.uid === object.metadata.uid ? key : undefined;
    return left.uid === after.metadata.uid && left.fieldsHash === ownedFieldsHash(after, FIELD_MANAGER)
      ? undefined
      : key;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number }> {
    const cached = this.#deps.repositories.get(key);
    if (!cached) {
      this.#sessions.delete(key);
      this.#writes.forget(writeId(key));
      return {};
    }
    // A cache that lags behind our own status would have us decide from an inventory that is no more.
    const repository = this.#writes.latest(writeId(key), cached) as unknown as Repository;
    if (repository.spec.suspend) {
      await this.#write(key, repository, undefined, SUSPENDED);
      return {};
    }
    const interval = durationMs(repository.spec.interval);
    try {
      const { commit, snapshot } = await this.#read(key, repository, interval, signal);
      await this.#sync(key, repository, commit, snapshot, signal);
    } catch (error) {
      // After a lost lock the queue tries again with what is there now; nothing went wrong.
      if (signal.aborted || isConflict(error)) throw error;
      const known = error instanceof SlipwayError ? error : undefined;
      const reason = known?.code ?? "SyncFailed";
      const message = describeError(error);
      const stalled = known !== undefined && !known.retryable;
      // The newest that is known: the inventory may have been written ahead, and stays as it is.
      const latest = this.#writes.latest(writeId(key), this.#deps.repositories.get(key)) ?? cached;
      await this.#write(key, latest as unknown as Repository, undefined, {
        ready: "False",
        stalled,
        reason,
        message,
      });
      this.#deps.recorder.record(latest, { type: "Warning", reason, note: message });
      if (!known || known.retryable) throw error; // the queue backs off
      return { requeueAfterMs: interval };
    }
    const session = this.#sessions.get(key);
    const due = session ? session.fetchedAt + interval - this.#deps.now() : interval;
    return { requeueAfterMs: Math.max(100, due) };
  }

  /** The snapshot to apply; fetches when the interval is over, somebody asked, or the address changed. */
  async #read(key: string, repository: Repository, interval: number, signal: AbortSignal) {
    const { url, branch, path } = repository.spec;
    const ref = `refs/heads/${branch}`;
    const session = this.#sessions.get(key);
    const requested = repository.metadata.annotations?.[ANNOTATION_REQUESTED_AT];
    const asked = this.#poked.delete(key) || requested !== repository.status?.lastHandledRequestedAt;
    const due =
      !session ||
      session.url !== url ||
      session.branch !== branch ||
      this.#deps.now() - session.fetchedAt >= interval;
    if (!asked && !due && session.commit !== undefined) {
      const mirror = await this.#deps.sources.mirror(repository);
      return {
        commit: session.commit,
        snapshot: await this.#deps.sources.snapshot(mirror, session.commit, path),
      };
    }
    const fetchedAt = this.#deps.now();
    try {
      const mirror = await this.#deps.sources.fetch(repository, [ref], signal);
      const commit = await mirror.resolve(ref);
      const snapshot = await this.#deps.sources.snapshot(mirror, commit, path);
      if (session?.commit !== commit) this.#deps.onCommit(key);
      this.#sessions.set(key, { commit, fetchedAt, url, branch, waiting: session?.waiting ?? false });
      return { commit, snapshot };
    } catch (error) {
      if (asked) this.#poked.add(key); // what was asked for has not happened yet
      throw error;
    }
  }

  async #sync(
    key: string,
    repository: Repository,
    commit: string,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace = "" } = repository.metadata;
    const before = repository.status ?? {};
    const previous = before.inventory?.entries ?? [];
    await this.#bring(repository, snapshot);
    if (!repository.spec.apply) {
      const result = resultOf(
        repository,
        commit,
        snapshot,
        previous.length,
        { conflicts: [], pruneHeld: undefined },
        new Map(),
      );
      await this.#write(key, repository, statusOf(before, result, previous, repository), verdictOf(result));
      return;
    }
    const plan = this.#plan(repository, snapshot, previous);
    const grown = plan.inventory.some(({ id }) => !previous.some((entry) => entry.id === id));
    let current = repository;
    const begins = plan.apply.length > 0 && before.lastAttemptedRevision !== commit;
    if (grown || begins) {
      // Written ahead: whatever is created from here on can be found again, and names the commit that it is of, even if
      // this process dies now.
      const inventory = { entries: [...plan.inventory] };
      const ahead = { ...before, lastAttemptedRevision: commit, inventory };
      current = await this.#write(key, repository, ahead, {
        ready: "False",
        stalled: false,
        reason: "Applying",
        message: `applying ${plan.apply.length} objects at ${repository.spec.branch}@${commit.slice(0, 8)}`,
      });
    }
    const identity = serviceAccountIdentity(namespace, repository.spec.serviceAccountName);
    const target: ApplyTarget = {
      client: this.#deps.client.as(identity),
      namespace,
      repository: name,
      signal,
    };
    const { applied, failed } = await applyNodes(plan.apply, target);
    const inventory = new Map(plan.inventory.map((entry) => [entry.id, entry]));
    for (const node of plan.apply) {
      const id = inventoryId(namespace, node.name, node.kind);
      const object = applied.get(node.key);
      if (!object) {
        // Refused: keep what was there before; forget what never came to be.
        const old = previous.find((entry) => entry.id === id);
        if (old) inventory.set(id, old);
        else inventory.delete(id);
        continue;
      }
      const uid = object.metadata.uid ?? "";
      inventory.set(id, { id, version: object.apiVersion.split("/")[1] ?? "", uid, digest: node.specDigest });
      this.#writes.wrote(id, object);
      const fieldsHash = ownedFieldsHash(object, FIELD_MANAGER) ?? "";
      await this.#deps.state.applied.set(id, { uid, specDigest: node.specDigest, fieldsHash });
    }
    const pruned = await this.#prune(plan, target, inventory);
    const entries = [...inventory.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const refused = new Map([
      ...failed,
      ...pruned.map(({ entry, message }) => [`prune ${entry.id}`, message] as const),
    ]);
    const result = resultOf(repository, commit, snapshot, entries.length, plan, refused);
    const session = this.#sessions.get(key);
    if (session) session.waiting = plan.pruneHeld?.reason === "NotHealthy";
    const status = statusOf(before, result, entries, repository);
    const requested = repository.metadata.annotations?.[ANNOTATION_REQUESTED_AT];
    if (requested !== before.lastHandledRequestedAt) {
      for (const entry of entries) {
        const object = parseInventoryId(entry.id);
        this.#deps.wake(object.kind, namespace, object.name);
      }
    }
    await this.#write(key, current, status, verdictOf(result));
    this.#record(repository, result, plan, applied.size, before);
  }

  /** Stores the files that objects name, and that this namespace has brought them: only its objects may read them. */
  async #bring({ metadata }: Repository, { blobs }: Snapshot): Promise<void> {
    const { state } = this.#deps;
    const { namespace = "", name, uid = "" } = metadata;
    const owner = ownerName({ ref: { kind: "Repository", namespace, name }, uid });
    for (const [digest, data] of blobs) {
      await state.blobs.put(data);
      await state.reports.addUpload(owner, digest);
    }
  }

  async #write(
    key: string,
    repository: Repository,
    status: RepositoryStatus | undefined,
    verdict: Verdict,
  ): Promise<Repository> {
    const written = await this.#deps.writeStatus(repository, status, verdict);
    this.#writes.wrote(writeId(key), written as unknown as KubeObject);
    return written;
  }

  #plan(repository: Repository, snapshot: Snapshot, inventory: readonly InventoryEntry[]): Plan {
    const { name, namespace = "" } = repository.metadata;
    const { prune, deletionBudget, onInvalid } = repository.spec;
    return planSync({
      repository: name,
      namespace,
      graph: snapshot.graph,
      held: snapshot.held,
      hasErrors: snapshot.errors.length > 0,
      incomplete: snapshot.incomplete,
      unread: snapshot.unread,
      inventory,
      settings: { prune, deletionBudget, onInvalid },
      applied: (id) => this.#deps.state.applied.get(id),
      live: (kind, objectName) => this.#live(kind, namespace, objectName),
    });
  }

  #live(kind: string, namespace: string, name: string): LiveObject | undefined {
    const cached = this.#deps.objects.get(kind)?.get(objectKey(namespace, name));
    const object = this.#writes.latest(inventoryId(namespace, name, kind), cached);
    if (!object) return undefined;
    const status = object.status as
      | { observedGeneration?: number; conditions?: { type: string; status: string }[] }
      | undefined;
    return {
      uid: object.metadata.uid ?? "",
      repository: object.metadata.labels?.[LABEL_REPOSITORY],
      fieldsHash: ownedFieldsHash(object, FIELD_MANAGER),
      deleting: object.metadata.deletionTimestamp !== undefined,
      ready:
        status?.observedGeneration === object.metadata.generation &&
        status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true,
    };
  }

  async #prune(plan: Plan, target: ApplyTarget, inventory: Map<string, InventoryEntry>) {
    if (plan.pruneHeld || plan.prune.length === 0) return [];
    const failed = await pruneEntries(plan.prune, target);
    for (const entry of plan.prune) {
      if (failed.some((failure) => failure.entry.id === entry.id)) continue;
      inventory.delete(entry.id);
      this.#writes.forget(entry.id);
      await this.#deps.state.applied.delete(entry.id);
    }
    return failed;
  }

  #record(
    repository: Repository,
    result: SyncResult,
    plan: Plan,
    applied: number,
    before: RepositoryStatus,
  ): void {
    const { recorder } = this.#deps;
    const object = repository as unknown as KubeObject;
    const verdict = verdictOf(result);
    if (verdict.ready === "False") {
      recorder.record(object, { type: "Warning", reason: verdict.reason, note: verdict.message });
      return;
    }
    const pruned = plan.pruneHeld ? 0 : plan.prune.length;
    if (applied + pruned === 0) return;
    const drift = before.lastAppliedRevision === result.commit && pruned === 0;
    const note = drift
      ? `repaired ${plan.apply.map((node) => node.key).join(", ")}`
      : `applied ${applied} and deleted ${pruned} objects at ${result.branch}@${result.commit.slice(0, 8)}`;
    recorder.record(object, { type: "Normal", reason: drift ? "DriftRepaired" : "Synced", note });
  }
}

/** Names a Repository among what we wrote; no inventory id looks like it. */
const writeId = (key: string) => `${key} Repository`;

function resultOf(
  repository: Repository,
  commit: string,
  snapshot: Snapshot,
  resources: number,
  plan: Pick<Plan, "conflicts" | "pruneHeld">,
  refused: ReadonlyMap<string, string>,
): SyncResult {
  return {
    commit,
    branch: repository.spec.branch,
    resources,
    errors: snapshot.errors,
    held: snapshot.held.size,
    conflicts: plan.conflicts,
    refused,
    pruneHeld: plan.pruneHeld,
  };
}

function statusOf(
  before: RepositoryStatus,
  result: SyncResult,
  entries: readonly InventoryEntry[],
  repository: Repository,
): RepositoryStatus {
  const complete =
    result.errors.length === 0 &&
    result.conflicts.length === 0 &&
    result.refused.size === 0 &&
    result.pruneHeld?.reason !== "DeletionBudgetExceeded";
  const requested = repository.metadata.annotations?.[ANNOTATION_REQUESTED_AT];
  return {
    ...before,
    lastAttemptedRevision: result.commit,
    ...(complete ? { lastAppliedRevision: result.commit } : {}),
    ...(requested === undefined ? {} : { lastHandledRequestedAt: requested }),
    resources: result.resources,
    inventory: { entries: [...entries] },
    errors: result.errors.length > 0 ? statusErrors(result.errors) : undefined,
  };
}
