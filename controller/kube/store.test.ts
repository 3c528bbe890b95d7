import { describe, expect, it } from "vitest";
import type { KubeObject } from "./resources.ts";
import { ObjectStore } from "./store.ts";

function object(
  name: string,
  resourceVersion: string,
  labels: Record<string, string> = {},
  namespace = "ns",
): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, uid: `uid-${name}`, resourceVersion, labels },
  };
}

function recorded(store: ObjectStore): string[] {
  const changes: string[] = [];
  store.subscribe((before, after) => {
    changes.push(`${before?.metadata.resourceVersion ?? "-"}>${after?.metadata.resourceVersion ?? "-"}`);
  });
  return changes;
}

describe("ObjectStore", () => {
  it("reports adding, changing and deleting, with what was before", () => {
    const store = new ObjectStore();
    const changes = recorded(store);
    store.handle({ type: "applied", object: object("a", "1") });
    store.handle({ type: "applied", object: object("a", "2") });
    store.handle({ type: "deleted", object: object("a", "3") });
    expect(changes).toEqual(["->1", "1>2", "3>-"]);
    expect(store.get("ns/a")).toBeUndefined();
  });

  it("drops what it has, but not a new object that happens to carry the version", () => {
    const store = new ObjectStore();
    const changes = recorded(store);
    const first = object("a", "1");
    store.handle({ type: "applied", object: first });
    store.handle({ type: "applied", object: object("a", "1") });
    expect(store.get("ns/a")).toBe(first);
    const other = { ...first, metadata: { ...first.metadata, uid: "other" } };
    store.handle({ type: "applied", object: other });
    expect(changes).toEqual(["->1", "1>1"]);
  });

  it("says nothing about the deletion of what it never had", () => {
    const store = new ObjectStore();
    const changes = recorded(store);
    store.handle({ type: "deleted", object: object("a", "1") });
    expect(changes).toEqual([]);
  });

  it("keeps indexes equal to a scan through changes, also those added late", () => {
    const store = new ObjectStore();
    store.addIndex("color", (o) => (o.metadata.labels?.color ?? "").split("-").filter(Boolean));
    store.handle({ type: "applied", object: object("a", "1", { color: "red-blue" }) });
    store.handle({ type: "applied", object: object("b", "2", { color: "red" }, "other") });
    store.handle({ type: "applied", object: object("a", "3", { color: "blue" }) });
    store.addIndex("late", (o) => [o.metadata.labels?.color ?? ""]);
    const names = (index: string, value: string) => store.byIndex(index, value).map((o) => o.metadata.name);
    expect(names("color", "red")).toEqual(["b"]);
    expect(names("color", "blue")).toEqual(["a"]);
    expect(names("late", "blue")).toEqual(["a"]);
    expect(store.list("other").map((o) => o.metadata.name)).toEqual(["b"]);
    expect(store.list()).toHaveLength(2);
    store.handle({
      type: "deleted",
      object: object("b", "4", { color: "changed-before-deletion" }, "other"),
    });
    expect(names("color", "red")).toEqual([]);
    expect(store.list("other")).toEqual([]);
  });

  it("refuses an index it does not have, and one it has already", () => {
    const store = new ObjectStore();
    expect(() => store.byIndex("nope", "x")).toThrow('no index "nope"');
    store.addIndex("a", () => []);
    expect(() => store.addIndex("a", () => [])).toThrow('an index "a" already');
  });

  it("tells every subscriber although one fails, and says that it failed", () => {
    const store = new ObjectStore();
    store.subscribe(() => {
      throw new Error("mine");
    });
    const changes = recorded(store);
    expect(() => store.handle({ type: "applied", object: object("a", "1") })).toThrow("mine");
    expect(changes).toEqual(["->1"]);
    expect(store.size).toBe(1);
  });

  it("stops telling those who have unsubscribed", () => {
    const store = new ObjectStore();
    let calls = 0;
    const end = store.subscribe(() => calls++);
    store.handle({ type: "applied", object: object("a", "1") });
    end();
    store.handle({ type: "applied", object: object("a", "2") });
    expect(calls).toBe(1);
  });

  it("is synced after the first complete list, or says that it never will be", async () => {
    const store = new ObjectStore();
    expect(store.hasSynced).toBe(false);
    store.handle({ type: "synced", resourceVersion: "1" });
    await store.synced;
    expect(store.hasSynced).toBe(true);
    const stopped = new ObjectStore();
    stopped.stopped();
    await expect(stopped.synced).rejects.toMatchObject({ code: "WatchStopped" });
  });
});
