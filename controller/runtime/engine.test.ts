import { beforeEach, describe, expect, test } from "vitest";
import { SlipwayError } from "../errors.ts";
import { KubeError } from "../kube/kube-error.ts";
import { ConfigMap, type KubeObject, keyOf, type ResourceType } from "../kube/resources.ts";
import { createLogger } from "../log.ts";
import type { AppliedRecord, AppliedStore } from "../store/store.ts";
import { ready } from "./conditions.ts";
import { EchoFilter } from "./echo.ts";
import type { EffectRunner } from "./effects.ts";
import { Engine } from "./engine.ts";
import { OwnWrites } from "./freshness.ts";
import type { Decision, EffectOutcome, Kind, View } from "./kind.ts";
import { type Status, statusOf } from "./status.ts";

const TOY: ResourceType = { group: "t.dev", version: "v1", kind: "Toy", plural: "toys", namespaced: true };

/** In memory, our own ports; how the API server really behaves is tested on the real one. */
class Ports {
  readonly objects = new Map<string, KubeObject>();
  readonly log: string[] = [];
  readonly records = new Map<string, AppliedRecord>();
  version = 100;
  fail: ((verb: string) => unknown) | undefined;
  leading = true;

  readonly view: View = {
    get: <T>(type: ResourceType, namespace: string, name: string) =>
      this.objects.get(`${type.kind}/${namespace}/${name}`) as T | undefined,
    list: () => [],
    children: (type, uid) =>
      [...this.objects.values()].filter(
        (object) => object.kind === type.kind && object.metadata.ownerReferences?.[0]?.uid === uid,
      ),
    effect: () => undefined,
    report: () => undefined,
  };

  readonly applied: AppliedStore = {
    get: (id) => this.records.get(id),
    set: async (id, record) => void this.records.set(id, record),
    delete: async (id) => void this.records.delete(id),
  };

  readonly effects = {
    retain: async (_owner: unknown, requests: readonly { name: string }[]) =>
      void this.log.push(`effects ${requests.map(({ name }) => name).join(",")}`),
    abort: async () => void this.log.push("abort"),
    forget: async ({ uid }: { uid: string }) => void this.log.push(`forget ${uid}`),
  } as unknown as EffectRunner;

  readonly client = {
    apply: async <T extends KubeObject>(type: ResourceType, object: T, { dryRun }: { dryRun?: boolean }) => {
      this.#did(dryRun ? "dry-run" : "apply", keyOf(object));
      const entry = { manager: "slipway", operation: "Apply", fieldsV1: { f: Object.keys(object) } };
      const metadata = { ...object.metadata, uid: `uid-${object.metadata.name}`, managedFields: [entry] };
      const made = { ...object, metadata: { ...metadata, resourceVersion: String(++this.version) } };
      if (!dryRun) this.objects.set(`${type.kind}/${keyOf(object)}`, made);
      return made;
    },
    delete: async (type: ResourceType, namespace: string | undefined, name: string) => {
      this.#did("delete", name);
      this.objects.delete(`${type.kind}/${namespace}/${name}`);
    },
    patch: async <T extends KubeObject>(
      type: ResourceType,
      namespace: string | undefined,
      name: string,
      body: unknown,
    ) => {
      this.#did("status", name);
      const key = `${type.kind}/${namespace}/${name}`;
      const before = this.objects.get(key)!;
      const status = merged(statusOf(before), (body as { status: Status }).status);
      const made = {
        ...before,
        status,
        metadata: { ...before.metadata, resourceVersion: String(++this.version) },
      };
      this.objects.set(key, made);
      return made as KubeObject as T;
    },
  };

  #did(verb: string, what: string): void {
    this.log.push(`${verb} ${what}`);
    const error = this.fail?.(verb);
    if (error) throw error;
  }
}

function merged(target: Record<string, unknown>, patch: Record<string, unknown>): Status {
  const result: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = value;
  }
  return result as Status;
}

let ports: Ports;
let engine: Engine;
let events: string[];
const signal = new AbortController().signal;
const decided = (over: Partial<Decision<object>> = {}): Decision<object> => ({
  children: [],
  effects: [],
  status: { conditions: ready("Done", "m") },
  ...over,
});
const kindOf = (decide: () => Decision<object>): Kind => ({
  type: TOY,
  childTypes: [ConfigMap],
  observe: (object) => object,
  decide,
});
const toy = (): KubeObject => ports.objects.get("Toy/a/b")!;
const put = (over: { metadata?: object; spec?: object } = {}) =>
  ports.objects.set("Toy/a/b", {
    apiVersion: "t.dev/v1",
    kind: "Toy",
    metadata: { name: "b", namespace: "a", uid: "u", generation: 1, resourceVersion: "1", ...over.metadata },
    spec: over.spec ?? {},
  });
const map = (name: string): KubeObject => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } });
const run = (decide: () => Decision<object>, failures = 0) =>
  engine.reconcile(kindOf(decide), "a/b", signal, failures);

beforeEach(() => {
  ports = new Ports();
  events = [];
  put();
  engine = new Engine({
    client: ports.client as never,
    applied: ports.applied,
    reports: { forget: async (object) => void ports.log.push(`forget reports of ${object}`) },
    effects: ports.effects,
    view: ports.view,
    events: { record: (_object, { reason }) => events.push(reason) },
    writes: new OwnWrites(),
    echoes: new EchoFilter(),
    mayWrite: () => ports.leading,
    wake: () => {},
    log: createLogger("silent"),
  });
});

describe("a kind that has something outside of the cluster", () => {
  const request = { name: "cancel", inputDigest: "d", input: 1, attempt: 1, durable: true };
  const outside = { name: "t.dev/outside", needed: () => true, release: () => request };
  const kind = () => ({ ...kindOf(() => decided({ children: [map("x")] })), finalizer: outside });
  const finalizers = () => toy().metadata.finalizers;
  let outcome: EffectOutcome | undefined;

  beforeEach(() => {
    outcome = undefined;
    Object.assign(ports.view, { effect: () => outcome });
    const patch = ports.client.patch;
    ports.client.patch = async <T extends KubeObject>(...args: Parameters<typeof patch>) => {
      const { metadata } = args[3] as { metadata?: { finalizers?: string[] } };
      if (!metadata?.finalizers) return patch<T>(...args);
      ports.log.push(`finalizers ${metadata.finalizers.join(",")}`);
      put({ metadata: { ...toy().metadata, ...metadata } });
      return toy() as T;
    };
  });

  test("holds its objects before it does anything for them", async () => {
    expect(await engine.reconcile(kind(), "a/b", signal)).toEqual({ result: "changed" });
    expect(ports.log).toEqual(["finalizers t.dev/outside"]);
    await engine.reconcile(kind(), "a/b", signal);
    expect(ports.log).toContain("apply a/x");
  });

  test("lets a deleted one go once the effect has ended, and not before", async () => {
    put({ metadata: { finalizers: ["other", "t.dev/outside"], deletionTimestamp: "2030-01-01T00:00:00Z" } });
    const reconcile = () => engine.reconcile(kind(), "a/b", signal);
    expect(await reconcile()).toEqual({ result: "deleting" });
    outcome = {
      state: "Failed",
      attempt: 1,
      startedAt: 0,
      error: { code: "X", message: "m", retryable: true },
    };
    await reconcile();
    expect(ports.log).toEqual(["effects cancel", "effects cancel"]);
    expect(finalizers()).toContain("t.dev/outside");
    outcome = { state: "Succeeded", attempt: 2, startedAt: 0 };
    await reconcile();
    expect(finalizers()).toEqual(["other"]);
  });

  test("does not hold a deleted one for ever when the effect can never end", async () => {
    put({ metadata: { finalizers: ["t.dev/outside"], deletionTimestamp: "2030-01-01T00:00:00Z" } });
    outcome = {
      state: "Failed",
      attempt: 1,
      startedAt: 0,
      error: { code: "X", message: "m", retryable: false },
    };
    await engine.reconcile(kind(), "a/b", signal);
    expect(finalizers()).toEqual([]);
  });
});

describe("one reconcile", () => {
  test("applies children, prunes, starts effects and writes the status, in this order", async () => {
    await run(() => decided({ children: [map("old")] }));
    ports.log.length = 0;
    const effects = [{ name: "probe", inputDigest: "d", input: 1, attempt: 1, durable: false }];
    const status = { score: 1, conditions: ready("Done", "m") };
    const note = { type: "Normal", reason: "Scored", note: "" } as const;
    const decision = decided({ children: [map("new")], effects, status, events: [note], requeueAfterMs: 5 });
    expect(await run(() => decision)).toEqual({ result: "changed", requeueAfterMs: 5 });
    expect(ports.log).toEqual(["dry-run a/new", "apply a/new", "delete old", "effects probe", "status b"]);
    expect(events).toEqual(["Scored"]);
    ports.log.length = 0;
    expect(await run(() => decision)).toEqual({ result: "unchanged", requeueAfterMs: 5 });
    expect(ports.log).toEqual(["effects probe"]);
    expect(events).toEqual(["Scored"]);
  });

  test("leaves what it is to keep as it is", async () => {
    await run(() => decided({ children: [map("old"), map("older")] }));
    ports.log.length = 0;
    await run(() => decided({ keep: [{ type: ConfigMap, name: "old" }] }));
    expect(ports.log).toEqual(["delete older", "effects "]);
  });

  test("prunes nothing, starts nothing and says nothing when a child could not be applied", async () => {
    await run(() => decided({ children: [map("old")] }));
    ports.log.length = 0;
    ports.fail = (verb) => verb === "apply" && new KubeError(503, "ServiceUnavailable", "later");
    await expect(run(() => decided({ children: [map("new")], status: { x: 1 } }))).rejects.toThrow("later");
    expect(ports.log).toEqual(["dry-run a/new", "apply a/new"]);
  });

  test("does not repeat a status that the API server does not keep", async () => {
    const patch = ports.client.patch;
    ports.client.patch = async <T extends KubeObject>(...args: Parameters<typeof patch>) => {
      const made = await patch<T>(...args);
      delete (made.status as Status).unknown;
      return made;
    };
    const decision = decided({ status: { unknown: "field" } });
    await run(() => decision);
    await run(() => decision);
    expect(ports.log.filter((line) => line.startsWith("status"))).toHaveLength(1);
  });

  test("takes over the child of an owner of its name that was there before it, and no other", async () => {
    const ownedBy = (name: string) => ({
      ...map("c"),
      metadata: {
        ...map("c").metadata,
        ownerReferences: [{ apiVersion: "t.dev/v1", kind: "Toy", name, uid: "former", controller: true }],
      },
    });
    const wanted = () => decided({ children: [map("c")] });
    ports.objects.set("ConfigMap/a/c", ownedBy("another"));
    expect(await run(wanted)).toMatchObject({ result: "stalled" });
    expect(ports.log).toEqual(["status b"]);
    ports.objects.set("ConfigMap/a/c", ownedBy("b"));
    expect(await run(wanted)).toMatchObject({ result: "changed" });
    expect(ports.objects.get("ConfigMap/a/c")?.metadata.ownerReferences).toMatchObject([{ uid: "u" }]);
  });

  test("refuses a child of a type or a namespace that is not its own", async () => {
    const elsewhere = { ...map("x"), metadata: { name: "x", namespace: "other" } };
    for (const child of [elsewhere, { ...map("x"), kind: "Secret" }]) {
      expect((await run(() => decided({ children: [child] }))).result).toBe("stalled");
      expect(statusOf(toy()).conditions?.[0]).toMatchObject({ reason: "InvalidChild" });
    }
    expect(ports.log.filter((line) => !line.startsWith("status"))).toEqual([]);
  });
});

describe("objects that are not reconciled", () => {
  test("an unknown one is gone", async () => {
    ports.objects.clear();
    expect(await run(() => decided())).toEqual({ result: "gone" });
  });

  test("a deleted one is cleaned up after, once, also when it was made again", async () => {
    engine.gone(kindOf(decided), { ...toy(), metadata: { ...toy().metadata, uid: "former" } });
    ports.records.set("a/c//ConfigMap", { uid: "1", specDigest: "", fieldsHash: "" });
    ports.objects.set("ConfigMap/a/c", {
      ...map("c"),
      metadata: {
        name: "c",
        namespace: "a",
        ownerReferences: [{ apiVersion: "", kind: "", name: "", uid: "former" }],
      },
    });
    await run(decided);
    await run(decided);
    expect(ports.log.filter((line) => line.startsWith("forget"))).toEqual([
      "forget former",
      "forget reports of Toy/a/b/former",
    ]);
    expect(ports.records.size).toBe(0);
  });

  test("one that is being deleted has its effects aborted and nothing else", async () => {
    put({ metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
    expect(await run(() => decided({ children: [map("x")] }))).toEqual({ result: "deleting" });
    expect(ports.log).toEqual(["abort"]);
  });

  test("a suspended one of a kind that heeds it itself is decided like any other", async () => {
    put({ spec: { suspend: true } });
    const kind = { ...kindOf(() => decided({ children: [map("x")] })), suspends: true };
    expect(await engine.reconcile(kind, "a/b", signal)).toMatchObject({ result: "changed" });
    expect(ports.log).toContain("apply a/x");
  });

  test("a suspended one says so, and what runs is not touched", async () => {
    put({ spec: { suspend: true } });
    expect(await run(() => decided({ children: [map("x")] }))).toEqual({ result: "suspended" });
    expect(await run(() => decided())).toEqual({ result: "suspended" });
    expect(ports.log).toEqual(["status b"]);
  });

  test("none is touched by a process that does not lead", async () => {
    ports.leading = false;
    await expect(run(() => decided({ children: [map("x")] }))).rejects.toMatchObject({ code: "NotLeading" });
    expect(ports.log).toEqual([]);
  });
});

describe("errors", () => {
  const kube = (status: number, reason: string) => new KubeError(status, reason, "said the server");
  const child = () => decided({ children: [map("x")] });

  test.each([
    ["refused", kube(422, "Invalid"), "Invalid"],
    ["forbidden", kube(403, "Forbidden"), "Forbidden"],
    ["malformed", kube(400, "BadRequest"), "BadRequest"],
    ["our own, not retryable", new SlipwayError("InvalidSpec", "m"), "InvalidSpec"],
  ])("%s: Stalled, an event, and a slow retry", async (_, error, reason) => {
    ports.fail = (verb) => verb === "dry-run" && error;
    expect(await run(child)).toEqual({ result: "stalled", requeueAfterMs: 300_000 });
    expect(statusOf(toy()).conditions).toMatchObject([
      { type: "Ready", status: "False", reason, observedGeneration: 1 },
      { type: "Stalled", status: "True", reason },
    ]);
    await run(child);
    expect(events).toEqual([reason]);
    expect(ports.log.filter((line) => line.startsWith("status"))).toHaveLength(1);
  });

  test.each([
    ["unavailable", kube(503, "ServiceUnavailable"), "ServiceUnavailable"],
    ["unauthorized", kube(401, "Unauthorized"), "Unauthorized"],
    ["our own, retryable", new SlipwayError("GitUnreachable", "m", { retryable: true }), "GitUnreachable"],
    ["a fault", new TypeError("secret"), "InternalError"],
  ])("%s: tried again, and shown after the third time", async (_, error, reason) => {
    ports.fail = (verb) => verb === "dry-run" && error;
    await expect(run(child, 2)).rejects.toBe(error);
    expect(statusOf(toy()).conditions).toBeUndefined();
    await expect(run(child, 3)).rejects.toBe(error);
    expect(statusOf(toy()).conditions).toMatchObject([
      { type: "Ready", status: "False", reason },
      { type: "Reconciling", status: "True", reason, message: expect.not.stringContaining("secret") },
    ]);
  });

  test("a lost lock is tried again and never shown", async () => {
    ports.fail = (verb) => verb === "status" && kube(409, "Conflict");
    await expect(run(() => decided(), 9)).rejects.toMatchObject({ status: 409 });
    expect(ports.log).toEqual(["effects ", "status b"]);
  });

  test("a decision that throws is a fault", async () => {
    const fault = () => {
      throw new RangeError("bug");
    };
    await expect(run(fault)).rejects.toThrow("bug");
  });
});
