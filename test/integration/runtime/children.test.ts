import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isNotFound } from "../../../controller/kube/kube-error.ts";
import { ConfigMap, type KubeObject } from "../../../controller/kube/resources.ts";
import { eventually, quiet, type Running, TOY, ToyWorld } from "./toy.ts";

let world: ToyWorld;
let running: Running;

beforeAll(async () => {
  world = await ToyWorld.open();
  running = await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => {
  world.requests.length = 0;
});

const gone = (name: string) =>
  eventually(async () => {
    const found = await world.map(name).catch((error: unknown) => error);
    if (!isNotFound(found)) throw new Error(`${name} is still there`);
  });

test("of a child only its metadata is kept in memory", async () => {
  await world.apply("bare", { children: ["bare-a"], value: "1" });
  const toy = await world.ready("bare");
  // The watch may show the child after the toy that has it.
  const kept = await eventually(() => {
    const found = running.manager.view.children(ConfigMap, toy.metadata.uid!);
    expect(found).toHaveLength(1);
    return found[0]!;
  });
  const child = await world.map("bare-a");
  expect(child.data).toEqual({ value: "1" });
  expect(kept.metadata).toMatchObject({ uid: child.metadata.uid, labels: child.metadata.labels });
  expect(Object.keys(kept).sort()).toEqual(["apiVersion", "kind", "metadata"]);
});

describe("requests", () => {
  test("a new object costs a dry run, a PATCH and a status; nothing after that", async () => {
    await world.apply("new", { children: ["new-a"], value: "1" });
    const toy = await world.ready("new");
    await quiet();
    expect(world.writes()).toEqual(["apply ConfigMap", "apply ConfigMap", "patch Toy"]);
    expect(toy.status).toMatchObject({ seen: "1", observedGeneration: 1 });
    const child = await world.map("new-a");
    expect(child.data).toEqual({ value: "1" });
    expect(child.metadata.labels).toEqual({ "app.kubernetes.io/managed-by": "slipway" });
    expect(child.metadata.ownerReferences).toMatchObject([{ uid: toy.metadata.uid, controller: true }]);
  });

  test("an unchanged object costs nothing, however often it is looked at", async () => {
    await world.apply("same", { children: ["same-a", "same-b"] });
    await world.ready("same");
    await quiet();
    world.requests.length = 0;
    for (let index = 0; index < 5; index++) {
      running.manager.enqueue({ kind: "Toy", namespace: world.namespace, name: "same" });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(world.requests.filter(({ verb }) => verb !== "watch")).toEqual([]);
  });

  test("a change of one child of three costs that child alone, and a status only if that changes", async () => {
    await world.apply("three", { children: ["three-a", "three-b"], value: "1" });
    await world.ready("three");
    await quiet();
    world.requests.length = 0;
    await world.apply("three", { children: ["three-a", "three-b", "three-c"], value: "1" });
    await world.ready("three");
    await quiet();
    expect(world.writes()).toEqual(["apply ConfigMap", "apply ConfigMap", "patch Toy"]);
  });
});

describe("drift", () => {
  test("a child that somebody edits is put back", async () => {
    await world.apply("edited", { children: ["edited-a"], value: "ours" });
    await world.ready("edited");
    await world.client.patch(
      ConfigMap,
      world.namespace,
      "edited-a",
      { data: { value: "theirs", more: "x" } },
      {
        contentType: "application/merge-patch+json",
        fieldManager: "kubectl-edit",
      },
    );
    // What they added beside ours is theirs and stays.
    await eventually(async () =>
      expect((await world.map("edited-a")).data).toEqual({ value: "ours", more: "x" }),
    );
    await quiet();
    expect(world.writes()).toEqual(
      Array(2).fill("apply ConfigMap").concat("patch Toy", Array(2).fill("apply ConfigMap")),
    );
  });

  test("a child that somebody deletes is made again", async () => {
    await world.apply("deleted", { children: ["deleted-a"], value: "1" });
    await world.ready("deleted");
    const { uid } = (await world.map("deleted-a")).metadata;
    await world.client.delete(ConfigMap, world.namespace, "deleted-a");
    await eventually(async () => expect((await world.map("deleted-a")).metadata.uid).not.toBe(uid));
  });

  test("a child whose label somebody takes away is labelled again, not taken for somebody else's", async () => {
    await world.apply("label", { children: ["label-a"] });
    await world.ready("label");
    await quiet();
    await world.client.patch(
      ConfigMap,
      world.namespace,
      "label-a",
      { metadata: { labels: { "app.kubernetes.io/managed-by": null } } },
      { contentType: "application/merge-patch+json", fieldManager: "kubectl-edit" },
    );
    await eventually(async () =>
      expect((await world.map("label-a")).metadata.labels).toEqual({
        "app.kubernetes.io/managed-by": "slipway",
      }),
    );
  });
});

test("an owner that is made again under its name has its children at once", async () => {
  await world.apply("again", { children: ["again-a"], value: "1" });
  const former = await world.ready("again");
  await world.client.delete(TOY, world.namespace, "again");
  await world.apply("again", { children: ["again-a"], value: "2" });
  const toy = await world.ready("again");
  expect(toy.metadata.uid).not.toBe(former.metadata.uid);
  const child = await world.map("again-a");
  expect(child.data).toEqual({ value: "2" });
  expect(child.metadata.ownerReferences).toMatchObject([{ uid: toy.metadata.uid, controller: true }]);
});

describe("prune", () => {
  test("what is not desired any more is deleted, what is desired stays", async () => {
    await world.apply("prune", { children: ["prune-a", "prune-b"] });
    await world.ready("prune");
    const { uid } = (await world.map("prune-b")).metadata;
    await world.apply("prune", { children: ["prune-b"] });
    await gone("prune-a");
    expect((await world.map("prune-b")).metadata.uid).toBe(uid);
  });

  test("an object with our label and another owner is left alone", async () => {
    const other = await world.apply("other", {});
    await world.client.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "not-mine",
        namespace: world.namespace,
        labels: { "app.kubernetes.io/managed-by": "slipway" },
        // An owner, but not its controller.
        ownerReferences: [
          { apiVersion: other.apiVersion, kind: "Toy", name: "other", uid: other.metadata.uid! },
        ],
      },
    });
    await world.apply("other", { value: "changed" });
    await world.ready("other", (toy) => toy.status?.seen === "changed");
    await quiet();
    expect((await world.map("not-mine")).metadata.name).toBe("not-mine");
  });
});

describe("what is somebody else's", () => {
  test.each([
    ["same value", { value: "mine" }],
    ["another value", { value: "theirs" }],
    ["other fields", { other: "x" }],
  ])("is a Conflict and stays untouched (%s)", async (label, data) => {
    const name = label.replaceAll(" ", "-");
    const made = await world.client.create<KubeObject>(
      ConfigMap,
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: `foreign-${name}`, namespace: world.namespace },
        data,
      },
      { fieldManager: "somebody" },
    );
    await world.apply(name, { children: [`foreign-${name}`], value: "mine" });
    const toy = await eventually(async () => {
      const found = await world.get(name);
      if (!found.status?.conditions?.some((c) => c.type === "Stalled")) throw new Error("not stalled");
      return found;
    });
    expect(toy.status?.conditions).toMatchObject([
      { type: "Ready", status: "False", reason: "Conflict", message: expect.stringContaining("somebody") },
      { type: "Stalled", status: "True", reason: "Conflict" },
    ]);
    await quiet();
    expect((await world.map(`foreign-${name}`)).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    expect(world.writes()).toEqual(["apply ConfigMap", "patch Toy"]);
  });
});

test("what the API server refuses stalls with its reason, and mends with the next edit", async () => {
  await world.apply("bad", { children: ["Not_A_Name"] });
  const toy = await eventually(async () => {
    const found = await world.get("bad");
    if (found.status?.conditions?.[1]?.type !== "Stalled") throw new Error("not stalled");
    return found;
  });
  expect(toy.status?.conditions?.[0]).toMatchObject({
    reason: "Invalid",
    message: expect.stringContaining("Not_A_Name"),
  });
  await quiet();
  expect(world.writes()).toEqual(["apply ConfigMap", "patch Toy"]);
  await world.apply("bad", { children: ["good"] });
  const mended = await world.ready("bad");
  expect(mended.status?.conditions?.map(({ type }) => type)).toEqual(["Ready"]);
});
