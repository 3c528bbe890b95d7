import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Event, type KubeObject } from "../../../controller/kube/resources.ts";
import { eventually, quiet, TOY, type Toy, ToyWorld } from "./toy.ts";

let world: ToyWorld;

beforeAll(async () => {
  world = await ToyWorld.open();
  await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => {
  world.requests.length = 0;
});

const mergePatch = { contentType: "application/merge-patch+json", subresource: "status" } as const;
const condition = (toy: Toy, type: string) => toy.status?.conditions?.find((c) => c.type === type);

test("is written once, with generation on itself and its conditions", async () => {
  await world.apply("once", { value: "1" });
  const toy = await world.ready("once");
  await quiet();
  expect(world.writes()).toEqual(["patch Toy"]);
  expect(toy.status).toEqual({
    seen: "1",
    observedGeneration: 1,
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "Done",
        message: "0 children",
        observedGeneration: 1,
        lastTransitionTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      },
    ],
  });
});

test("loses what is stale or was put there by somebody else", async () => {
  await world.apply("stale", { value: "1" });
  await world.ready("stale");
  await world.client.patch(
    TOY,
    world.namespace,
    "stale",
    { status: { extra: "x", seen: "wrong" } },
    mergePatch,
  );
  await eventually(async () => {
    const { status } = await world.get("stale");
    expect(status?.seen).toBe("1");
    expect(status).not.toHaveProperty("extra");
  });
  await quiet();
  expect(world.writes()).toEqual(["patch Toy", "patch Toy"]);
});

test("keeps the time of a condition whose status stays", async () => {
  await world.apply("time", { value: "1" });
  const before = condition(await world.ready("time"), "Ready")?.lastTransitionTime;
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await world.apply("time", { value: "2" });
  const after = condition(await world.ready("time"), "Ready");
  expect(after).toMatchObject({ observedGeneration: 2, lastTransitionTime: before });
});

test("echoes a request", async () => {
  await world.apply("asked", {});
  await world.ready("asked");
  await world.apply("asked", {}, { "slipway.dev/requestedAt": "now" });
  await eventually(async () => expect((await world.get("asked")).status?.lastHandledRequestedAt).toBe("now"));
});

test("says that an object is suspended, keeps what it said, and touches nothing until it is resumed", async () => {
  await world.apply("rest", { children: ["rest-a"], value: "1" });
  await world.ready("rest");
  await world.apply("rest", { children: [], value: "2", suspend: true });
  await eventually(async () => {
    const toy = await world.get("rest");
    expect(condition(toy, "Ready")).toMatchObject({ status: "Unknown", reason: "Suspended" });
    expect(toy.status?.seen).toBe("1");
  });
  await quiet();
  expect((await world.map("rest-a")).data).toEqual({ value: "1" });
  await world.apply("rest", { children: ["rest-a"], value: "2" });
  await world.ready("rest");
  expect((await world.map("rest-a")).data).toEqual({ value: "2" });
});

test("brings its event with it, once", async () => {
  await world.apply("event", {});
  await world.ready("event");
  const ours = async () => {
    const { items } = await world.client.list<KubeObject & { regarding: { name: string } }>(Event, {
      namespace: world.namespace,
    });
    return items.filter(({ regarding }) => regarding.name === "event");
  };
  await eventually(async () => expect(await ours()).toHaveLength(1));
  await quiet();
  expect(await ours()).toMatchObject([{ reason: "Done", note: "said once", type: "Normal" }]);
});

test("wakes dependents at once, through a chain, wherever it begins", async () => {
  await world.apply("last", { needs: "middle" });
  await world.apply("middle", { needs: "first" });
  await eventually(async () =>
    expect(condition(await world.get("last"), "Reconciling")).toMatchObject({
      status: "True",
      reason: "Waiting",
    }),
  );
  const started = performance.now();
  await world.apply("first", { value: "v" });
  const last = await world.ready("last");
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(last.status?.seen).toBe("v");
  await world.apply("first", { value: "w" });
  await world.ready("last", (toy) => toy.status?.seen === "w");
});
