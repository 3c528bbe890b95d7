import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../controller/graph/canonical.ts";
import type { EffectContext, Kind } from "../../../controller/runtime/kind.ts";
import { eventually, quiet, TOY, ToyWorld, toyKind } from "./toy.ts";

let world: ToyWorld;
beforeEach(async () => {
  world = await ToyWorld.open();
});
afterEach(() => world[Symbol.asyncDispose]());

/** A kind whose effect ends when `finish` says so. */
function workingKind() {
  const calls: EffectContext[] = [];
  const end = Promise.withResolvers<Json>();
  const work = (_input: Json, context: EffectContext) => {
    calls.push(context);
    const aborted = new Promise<never>((_, reject) => {
      context.signal.addEventListener("abort", () => reject(context.signal.reason));
    });
    return Promise.race([end.promise, aborted]);
  };
  return { calls, finish: (value: Json) => end.resolve(value), kind: toyKind({ work }) as Kind };
}

describe("a new process", () => {
  test("adopts an unfinished effect exactly once", async () => {
    const before = workingKind();
    const first = await world.start({ kind: before.kind });
    await world.apply("job", { work: "dataset-1" });
    await eventually(() => expect(before.calls).toHaveLength(1));
    expect(before.calls[0]).toMatchObject({ recovered: false, attempt: 1 });
    await first.stop();

    const after = workingKind();
    const second = await world.start({ kind: after.kind });
    await eventually(() => expect(after.calls).toHaveLength(1));
    expect(after.calls[0]).toMatchObject({ recovered: true, attempt: 1 });
    after.finish("model-7");
    const toy = await world.ready("job", ({ status }) => status?.output === "model-7");
    await quiet();
    expect(after.calls).toHaveLength(1);
    await second.stop();

    const later = workingKind();
    await world.start({ kind: later.kind });
    await quiet();
    expect(later.calls).toEqual([]);
    expect((await world.get("job")).metadata.resourceVersion).toBe(toy.metadata.resourceVersion);
  });

  test("writes nothing when nothing has changed", async () => {
    const first = await world.start();
    await world.apply("calm", { children: ["calm-a", "calm-b"], value: "1" });
    await world.ready("calm");
    await first.stop();
    world.requests.length = 0;
    await world.start();
    await quiet();
    expect(world.writes()).toEqual([]);
    expect(world.requests.some(({ verb, kind }) => verb === "list" && kind === "Toy")).toBe(true);
  });

  test("repairs what drifted while nobody looked", async () => {
    const first = await world.start();
    await world.apply("drift", { children: ["drift-a"], value: "1" });
    await world.ready("drift");
    await first.stop();
    await world.client.delete(
      { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
      world.namespace,
      "drift-a",
    );
    await world.start();
    await eventually(async () => expect((await world.map("drift-a")).data).toEqual({ value: "1" }));
  });

  test("with an empty state folder takes its children for its own, with one write each", async () => {
    const first = await world.start();
    await world.apply("lost", { children: ["lost-a"], value: "1" });
    await world.ready("lost");
    const { uid } = (await world.map("lost-a")).metadata;
    await first.stop();
    world.requests.length = 0;
    await world.start({ folder: "empty" });
    await quiet();
    expect(world.writes()).toEqual(["apply ConfigMap", "apply ConfigMap"]);
    expect((await world.map("lost-a")).metadata.uid).toBe(uid);
  });
});

describe("an object that is deleted", () => {
  test("has its effect aborted and forgotten", async () => {
    const { kind, calls } = workingKind();
    const { state } = await world.start({ kind });
    await world.apply("gone", { work: "x" });
    await eventually(() => expect(calls).toHaveLength(1));
    await world.client.delete(TOY, world.namespace, "gone");
    await eventually(() => expect(calls[0]?.signal.aborted).toBe(true));
    await eventually(() => expect(state.intents.objects()).toEqual([]));
  });

  test("and made again starts afresh", async () => {
    const { kind, calls, finish } = workingKind();
    finish("out");
    await world.start({ kind });
    await world.apply("again", { work: "x" });
    await world.ready("again", ({ status }) => status?.output === "out");
    await world.client.delete(TOY, world.namespace, "again");
    await world.apply("again", { work: "x" });
    await world.ready("again", ({ status }) => status?.output === "out");
    expect(calls.map(({ recovered }) => recovered)).toEqual([false, false]);
  });

  test("while no process looked is forgotten at the next start", async () => {
    const { kind, calls } = workingKind();
    const first = await world.start({ kind });
    await world.apply("away", { work: "x" });
    await eventually(() => expect(calls).toHaveLength(1));
    await first.stop();
    await world.client.delete(TOY, world.namespace, "away");
    const second = await world.start({ kind });
    await eventually(() => expect(second.manager.readiness().text).toBe("leader, caches synced"));
    await eventually(() => expect(second.state.intents.objects()).toEqual([]));
  });
});

test("a second process stands by, ready, and leads when the first has given the lease back", async () => {
  const leaderElection = { namespace: world.namespace, name: "runtime" };
  const first = await world.start({ leaderElection: { ...leaderElection, identity: "one" }, folder: "one" });
  await eventually(() => expect(first.manager.readiness().text).toBe("leader, caches synced"));
  const client = world.newClient();
  const second = await world.start({
    leaderElection: { ...leaderElection, identity: "two" },
    folder: "two",
    client,
  });
  await eventually(() =>
    expect(second.manager.readiness()).toEqual({ ready: true, text: "standby, caches synced" }),
  );
  await world.apply("led", { value: "1" });
  await world.ready("led");
  const started = performance.now();
  await first.stop();
  await world.apply("led", { value: "2" });
  await world.ready("led");
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(second.manager.readiness().text).toBe("leader, caches synced");
  await second.stop();
  await client.close();
});

test("a plain reconciler has its queue, the shared informers and the view", async () => {
  const seen: string[] = [];
  await world.start({
    prepare(manager) {
      const queue = manager.join({
        name: "watcher",
        async reconcile(key) {
          const [namespace = "", name = ""] = key.split("/");
          const value = manager.view.get(TOY, namespace, name)?.metadata.name;
          seen.push(`${key}=${value}`);
          return undefined;
        },
      });
      manager.informer(TOY).store.subscribe((before, after) => {
        const { namespace, name } = (after ?? before)!.metadata;
        queue.add(`${namespace}/${name}`);
      });
    },
  });
  await world.apply("plain", {});
  await eventually(() => expect(seen).toContain(`${world.namespace}/plain=plain`));
});
