import { beforeEach, describe, expect, it } from "vitest";
import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { repositorySpec } from "../../schemas/repository.ts";
import { SlipwayError } from "../errors.ts";
import { blobDigest } from "../graph/canonical.ts";
import { KubeError } from "../kube/kube-error.ts";
import { type KubeObject, keyOf } from "../kube/resources.ts";
import { ObjectStore } from "../kube/store.ts";
import type { AppliedRecord } from "../store/store.ts";
import { RepositoryReconciler } from "./reconciler.ts";
import type { Verdict } from "./repository-status.ts";
import { loadSnapshot } from "./snapshot.ts";

const prompt = (name: string, content = "Hi") =>
  `apiVersion: slipway.dev/v1alpha1\nkind: PromptTemplate\nmetadata: {name: ${name}}\nspec: {messages: [{role: user, content: "${content}"}]}\n`;
const versionOf = (object: object) => (object as KubeObject).metadata.resourceVersion;
const never = new AbortController().signal;

/** An API server, a git repository and a state store, as far as the reconciler looks at them. */
class World {
  commit = "a".repeat(40);
  files: Record<string, string> = {};
  fetches = 0;
  failFetch: Error | undefined;
  now = 1_000_000;
  version = 100;
  /** The Repository as the server has it; the cache shows it at once, or later when `lagging`. */
  newest = {} as KubeObject;
  lagging = false;
  readonly calls: string[] = [];
  readonly verdicts: Verdict[] = [];
  readonly events: string[] = [];
  readonly woken: string[] = [];
  readonly commits: string[] = [];
  readonly applied = new Map<string, AppliedRecord>();
  /** Files of objects, as the state store knows who has them. */
  readonly brought: string[] = [];
  /** What the server has; the stores follow when `deliver` is called. */
  readonly server = new Map<string, KubeObject>();
  readonly prompts = new ObjectStore();
  readonly repositories = new ObjectStore();
  refuse: (call: string) => Error | undefined = () => undefined;
  reconciler = this.#start();

  constructor(spec: object = {}) {
    this.put({
      apiVersion: "slipway.dev/v1alpha1",
      kind: "Repository",
      metadata: { name: "app", namespace: "team", uid: "repo", generation: 1 },
      spec: repositorySpec.parse({
        url: "https://git.example.com/a.git",
        serviceAccountName: "deployer",
        ...spec,
      }),
    });
  }

  put(object: KubeObject): void {
    this.version += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.version) };
    this.newest = { ...object, metadata };
    if (!this.lagging) this.catchUp();
  }

  catchUp(): void {
    this.lagging = false;
    this.repositories.handle({ type: "applied", object: this.newest });
  }

  get repository(): Repository {
    return this.repositories.get("team/app") as unknown as Repository;
  }

  get status(): RepositoryStatus {
    return this.repository.status ?? {};
  }

  annotate(annotations: Record<string, string>): void {
    const repository = this.repositories.get("team/app") as KubeObject;
    this.put({ ...repository, metadata: { ...repository.metadata, annotations } });
  }

  #start(): RepositoryReconciler {
    const call = (name: string) => {
      this.calls.push(name);
      const error = this.refuse(name);
      if (error) throw error;
    };
    const client = {
      as: (identity: unknown) => {
        expect(JSON.stringify(identity)).toContain("system:serviceaccount:team:deployer");
        return {
          apply: async (_: unknown, desired: KubeObject, { dryRun }: { dryRun: boolean }) => {
            const key = keyOf(desired);
            call(`${dryRun ? "dry" : "apply"} ${key}`);
            const before = this.server.get(key);
            this.version += 1;
            const object: KubeObject = {
              ...desired,
              metadata: {
                ...desired.metadata,
                uid: before?.metadata.uid ?? `uid-${this.version}`,
                resourceVersion: String(this.version),
                generation: (before?.metadata.generation ?? 0) + 1,
                managedFields: [
                  {
                    manager: "slipway",
                    operation: "Apply",
                    fieldsV1: { "f:spec": JSON.stringify(desired.spec).length },
                  },
                ],
              },
            };
            if (!dryRun) this.server.set(key, object);
            return object;
          },
          delete: async (_: unknown, namespace: string, name: string) => {
            call(`delete ${namespace}/${name}`);
            this.server.delete(`${namespace}/${name}`);
          },
        };
      },
    };
    const mirror = { resolve: async () => this.commit };
    return new RepositoryReconciler({
      client: client as never,
      repositories: this.repositories,
      objects: new Map([["PromptTemplate", this.prompts]]),
      state: {
        applied: {
          get: (id: string) => this.applied.get(id),
          set: async (id: string, record: AppliedRecord) => void this.applied.set(id, record),
          delete: async (id: string) => void this.applied.delete(id),
        },
        blobs: { put: async () => "" },
        reports: {
          hasUpload: () => false,
          addUpload: async (owner: string, digest: string) => void this.brought.push(`${owner} ${digest}`),
        },
      } as never,
      sources: {
        mirror: async () => mirror,
        fetch: async () => {
          this.fetches += 1;
          if (this.failFetch) throw this.failFetch;
          return mirror;
        },
        snapshot: (_: unknown, _commit: string, path: string) =>
          loadSnapshot(
            {
              list: async () =>
                Object.entries(this.files).map(([name, text]) => ({
                  path: name,
                  id: name,
                  size: text.length,
                })),
              read: async (entries) =>
                new Map(entries.map(({ id }) => [id, Buffer.from(this.files[id] ?? "")])),
            },
            path,
          ),
      } as never,
      recorder: {
        record: (_: unknown, { reason }: { reason: string }) => void this.events.push(reason),
      } as never,
      writeStatus: async (repository, status, verdict) => {
        const conditions = [{ type: "Ready", status: verdict.ready, reason: verdict.reason }];
        if (repository.metadata.uid !== "repo" || versionOf(repository) !== versionOf(this.newest)) {
          throw new KubeError(409, "Conflict", "decided from an older version");
        }
        this.verdicts.push(verdict);
        this.calls.push(`status ${verdict.reason}`);
        const decided = status ?? repository.status;
        this.put({ ...repository, status: { ...decided, conditions } } as unknown as KubeObject);
        return this.newest as unknown as Repository;
      },
      wake: (kind, namespace, name) => void this.woken.push(`${kind} ${namespace}/${name}`),
      onCommit: (key) => void this.commits.push(key),
      now: () => this.now,
    });
  }

  /** A new process: nothing in memory, everything durable kept. */
  restart(): void {
    this.reconciler = this.#start();
  }

  /** The watch shows what the server has. @returns the repositories to wake */
  deliver(change: { ready?: boolean } = {}): (string | undefined)[] {
    const woken: (string | undefined)[] = [];
    for (const { metadata } of this.prompts.list()) {
      const before = this.prompts.get(`team/${metadata.name}`);
      if (this.server.has(`team/${metadata.name}`)) continue;
      if (before) this.prompts.handle({ type: "deleted", object: before });
      woken.push(this.reconciler.affected(before, undefined));
    }
    for (const [key, object] of this.server) {
      const before = this.prompts.get(key);
      const status = {
        observedGeneration: object.metadata.generation,
        conditions: [{ type: "Ready", status: change.ready === false ? "False" : "True" }],
      };
      this.version += 1;
      const metadata = { ...object.metadata, resourceVersion: String(this.version) };
      const after = { ...object, metadata, status };
      this.prompts.handle({ type: "applied", object: after });
      woken.push(this.reconciler.affected(before, after));
    }
    return woken;
  }

  async reconcile() {
    this.calls.length = 0;
    return this.reconciler.reconcile("team/app", never);
  }

  get entries() {
    return (this.status.inventory?.entries ?? []).map(({ id, uid }) => [id.split("/")[1], uid]);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
  world.files = { "a.yaml": prompt("one"), "b.yaml": prompt("two") };
});

describe("a sync", () => {
  it("writes the inventory ahead, tries, applies, and says so", async () => {
    const { requeueAfterMs } = await world.reconcile();
    expect(world.calls).toEqual([
      "status Applying",
      "dry team/one",
      "dry team/two",
      "apply team/one",
      "apply team/two",
      "status Synced",
    ]);
    expect(requeueAfterMs).toBe(60_000);
    expect(world.status).toMatchObject({
      lastAppliedRevision: world.commit,
      lastAttemptedRevision: world.commit,
      resources: 2,
    });
    expect(world.entries).toEqual([
      ["one", expect.stringMatching(/^uid-/)],
      ["two", expect.stringMatching(/^uid-/)],
    ]);
    expect(world.events).toEqual(["Synced"]);
    expect(world.commits).toEqual(["team/app"]);
  });

  it("notes the files that objects name as its namespace's own, before the objects are there", async () => {
    const spec = "  format: completion\n  sources:\n    - {name: rows, files: [{path: rows.jsonl}]}\n";
    world.files["d.yaml"] =
      `apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: d}\nspec:\n${spec}`;
    world.files["rows.jsonl"] = "{}\n";
    world.refuse = (call) => {
      expect(world.brought).toEqual([`Repository/team/app/repo ${blobDigest("{}\n")}`]);
      return call.startsWith("dry") ? new KubeError(403, "Forbidden", "not yours") : undefined;
    };
    await world.reconcile();
    expect(world.calls).toContain("dry team/d");
  });

  it("costs nothing when nothing changed, before and after the watch has shown it", async () => {
    await world.reconcile();
    await world.reconcile();
    expect(world.calls).toEqual(["status Synced"]);
    expect(world.deliver()).toEqual([undefined, undefined]);
    await world.reconcile();
    expect(world.calls).toEqual(["status Synced"]);
    expect(world.fetches).toBe(1);
  });

  it("fetches after the interval, at a webhook and when asked, and not before", async () => {
    await world.reconcile();
    world.now += 59_000;
    await world.reconcile();
    expect(world.fetches).toBe(1);
    world.now += 1_000;
    await world.reconcile();
    expect(world.fetches).toBe(2);
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.fetches).toBe(3);
    world.annotate({ "slipway.dev/requestedAt": "now" });
    await world.reconcile();
    expect(world.fetches).toBe(4);
    expect(world.status.lastHandledRequestedAt).toBe("now");
    expect(world.woken).toEqual(["PromptTemplate team/one", "PromptTemplate team/two"]);
    await world.reconcile();
    expect(world.fetches).toBe(4);
  });

  it("applies what changed in git, and nothing else", async () => {
    await world.reconcile();
    world.deliver();
    world.commit = "b".repeat(40);
    world.files["a.yaml"] = prompt("one", "Hello");
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.calls).toEqual(["status Applying", "dry team/one", "apply team/one", "status Synced"]);
  });

  it("says which commit it tries before anything is of it, once, also when it dies in between", async () => {
    await world.reconcile();
    world.deliver();
    const first = world.commit;
    world.commit = "b".repeat(40);
    world.files["a.yaml"] = prompt("one", "Hello");
    world.reconciler.poke("team/app");
    world.refuse = (call) =>
      call === "apply team/one" ? new KubeError(500, "InternalError", "gone") : undefined;
    await world.reconcile().catch(() => {});
    expect(world.status).toMatchObject({ lastAttemptedRevision: world.commit, lastAppliedRevision: first });
    world.refuse = () => undefined;
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.calls).toEqual(["dry team/one", "apply team/one", "status Synced"]);
    expect(world.status.lastAppliedRevision).toBe(world.commit);
  });

  it("repairs what was deleted by hand, even at once", async () => {
    await world.reconcile();
    world.deliver();
    world.server.delete("team/one");
    expect(world.deliver()).toContain("team/app");
    await world.reconcile();
    expect(world.calls).toEqual(["dry team/one", "apply team/one", "status Synced"]);
    expect(world.events.at(-1)).toBe("DriftRepaired");
  });

  it("repairs fields that somebody took", async () => {
    await world.reconcile();
    const object = world.server.get("team/one") as KubeObject;
    world.version += 1;
    world.server.set("team/one", {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(world.version), managedFields: [] },
    });
    expect(world.deliver()).toContain("team/app");
    await world.reconcile();
    expect(world.calls).toContain("apply team/one");
    expect(world.calls).not.toContain("apply team/two");
  });

  it("deletes what left git only after the rest is Ready", async () => {
    await world.reconcile();
    world.deliver({ ready: false });
    delete world.files["b.yaml"];
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.calls).toEqual(["status Synced"]);
    expect(world.verdicts.at(-1)?.message).toContain("waiting for PromptTemplate/one");
    expect(world.deliver({ ready: true })).toContain("team/app");
    await world.reconcile();
    expect(world.calls).toEqual(["delete team/two", "status Synced"]);
    expect(world.entries.map(([name]) => name)).toEqual(["one"]);
    expect([...world.applied.keys()]).toEqual(["team/one/slipway.dev/PromptTemplate"]);
  });

  it("holds an invalid file, applies the rest, and does not advance", async () => {
    await world.reconcile();
    world.deliver();
    const first = world.commit;
    world.commit = "b".repeat(40);
    world.files["a.yaml"] = prompt("one").replace("user", "robot");
    world.files["b.yaml"] = prompt("two", "new");
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.calls).toEqual([
      "status Applying",
      "dry team/two",
      "apply team/two",
      "status InvalidManifests",
    ]);
    expect(world.status).toMatchObject({ lastAppliedRevision: first, lastAttemptedRevision: world.commit });
    expect(world.status.errors).toMatchObject([{ file: "a.yaml", line: 4 }]);
    expect(world.entries.map(([name]) => name)).toEqual(["one", "two"]);
    expect(world.server.size).toBe(2);
  });

  it("forgets what the API server refused, and keeps what was there", async () => {
    world.refuse = (call) => (call === "dry team/one" ? new KubeError(422, "Invalid", "no") : undefined);
    await world.reconcile();
    expect(world.verdicts.at(-1)).toMatchObject({
      reason: "ApplyFailed",
      stalled: true,
      message: "PromptTemplate/one: no",
    });
    expect(world.entries.map(([name]) => name)).toEqual(["two"]);
    expect(world.status.lastAppliedRevision).toBeUndefined();
  });

  it("completes what a process that died in between began, and can still delete it", async () => {
    world.refuse = (call) =>
      call === "apply team/two" ? new KubeError(0, "Unreachable", "died") : undefined;
    await expect(world.reconcile()).rejects.toThrow("died");
    expect(world.server.has("team/one")).toBe(true);
    expect(world.entries).toEqual([
      ["one", undefined],
      ["two", undefined],
    ]);
    // Before the next start, both leave git.
    world.restart();
    world.refuse = () => undefined;
    world.files = { "c.yaml": prompt("three") };
    world.deliver();
    await world.reconcile();
    world.deliver();
    await world.reconcile();
    expect([...world.server.keys()]).toEqual(["team/three"]);
    expect(world.entries.map(([name]) => name)).toEqual(["three"]);
  });

  it("adopts everything after all state but the cluster was lost", async () => {
    await world.reconcile();
    world.deliver();
    const uids = world.entries;
    world.applied.clear();
    world.put({ ...(world.repositories.get("team/app") as KubeObject), status: {} });
    world.restart();
    await world.reconcile();
    expect(world.verdicts.at(-1)?.reason).toBe("Synced");
    expect(world.entries).toEqual(uids);
  });

  it("touches nothing with apply: false, and nothing at all when suspended", async () => {
    world = new World({ apply: false });
    world.files = { "a.yaml": prompt("one") };
    await world.reconcile();
    expect(world.calls).toEqual(["status Synced"]);
    world = new World({ suspend: true });
    expect(await world.reconcile()).toEqual({});
    expect([world.calls, world.fetches]).toEqual([["status Suspended"], 0]);
    expect(world.verdicts.at(-1)?.ready).toBe("Unknown");
  });

  it("does not call a commit applied whose deletions exceed the budget", async () => {
    world = new World({ deletionBudget: 0 });
    world.files = { "a.yaml": prompt("one"), "b.yaml": prompt("two") };
    await world.reconcile();
    world.deliver();
    const first = world.commit;
    world.commit = "b".repeat(40);
    delete world.files["b.yaml"];
    world.reconciler.poke("team/app");
    await world.reconcile();
    expect(world.verdicts.at(-1)?.reason).toBe("DeletionBudgetExceeded");
    expect(world.status).toMatchObject({ lastAppliedRevision: first, lastAttemptedRevision: world.commit });
  });

  it("fetches once in an interval", async () => {
    world = new World({ interval: "1s" });
    expect(await world.reconcile()).toEqual({ requeueAfterMs: 1000 });
    world.now += 999;
    await world.reconcile();
    expect(world.fetches).toBe(1);
  });

  it("says why git could not be read, and tries again as it should", async () => {
    world.failFetch = new SlipwayError("GitUnauthorized", "refused");
    expect(await world.reconcile()).toEqual({ requeueAfterMs: 60_000 });
    expect(world.verdicts.at(-1)).toMatchObject({ reason: "GitUnauthorized", stalled: true });
    world.failFetch = new SlipwayError("GitUnreachable", "no answer", { retryable: true });
    await expect(world.reconcile()).rejects.toThrow("no answer");
    expect(world.verdicts.at(-1)).toMatchObject({ reason: "GitUnreachable", stalled: false });
  });

  it("keeps the inventory when a fetch fails before the cache has shown our last status", async () => {
    world.lagging = true;
    await world.reconcile();
    world.failFetch = new SlipwayError("GitUnreachable", "no answer", { retryable: true });
    world.reconciler.poke("team/app");
    await expect(world.reconcile()).rejects.toThrow("no answer");
    world.catchUp();
    expect(world.verdicts.at(-1)?.reason).toBe("GitUnreachable");
    expect(world.entries.map(([name]) => name)).toEqual(["one", "two"]);
    expect(world.status.lastAppliedRevision).toBe(world.commit);
  });

  it("syncs from its own last status while the cache lags behind it", async () => {
    world.lagging = true;
    await world.reconcile();
    world.commit = "b".repeat(40);
    world.files["c.yaml"] = prompt("three");
    world.reconciler.poke("team/app");
    await world.reconcile();
    world.catchUp();
    expect(world.entries).toEqual(["one", "three", "two"].map((name) => [name, expect.any(String)]));
  });

  it("leaves a lost lock to the queue, without a word in status or events", async () => {
    await world.reconcile();
    world.commit = "b".repeat(40);
    world.reconciler.poke("team/app");
    world.lagging = true;
    world.put(world.newest);
    await expect(world.reconcile()).rejects.toMatchObject({ reason: "Conflict" });
    expect(world.calls).toEqual([]);
    expect(world.events).toEqual(["Synced"]);
    world.catchUp();
    await world.reconcile();
    expect(world.status.lastAppliedRevision).toBe(world.commit);
  });

  it("of a Repository that is gone does nothing", async () => {
    expect(await world.reconciler.reconcile("team/other", never)).toEqual({});
  });
});

describe("affected", () => {
  it("wakes nobody for what is not ours, or not applied by us", () => {
    const object = (labels?: Record<string, string>): KubeObject => ({
      apiVersion: "slipway.dev/v1alpha1",
      kind: "PromptTemplate",
      metadata: { name: "x", namespace: "team", uid: "1", ...(labels ? { labels } : {}) },
    });
    expect(world.reconciler.affected(undefined, object())).toBeUndefined();
    expect(world.reconciler.affected(undefined, object({ "slipway.dev/repository": "app" }))).toBeUndefined();
    expect(world.reconciler.affected(undefined, undefined)).toBeUndefined();
  });

  it("wakes the Repository when its label is taken away", async () => {
    await world.reconcile();
    world.deliver();
    const before = world.prompts.get("team/one") as KubeObject;
    const after = { ...before, metadata: { ...before.metadata, labels: {}, managedFields: [] } };
    expect(world.reconciler.affected(before, after)).toBe("team/app");
  });
});
