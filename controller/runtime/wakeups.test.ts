import { describe, expect, test } from "vitest";
import type { KubeObject, OwnerReference, ResourceType } from "../kube/resources.ts";
import type { Kind } from "./kind.ts";
import { dependencyKey, dependencyKeys, ownersOf } from "./wakeups.ts";

const type = (kind: string, group = "slipway.dev"): ResourceType => ({
  group,
  version: "v1",
  kind,
  plural: kind.toLowerCase(),
  namespaced: true,
});
const kind = (name: string, dependencies?: Kind["dependencies"]): Kind => ({
  type: type(name),
  childTypes: [],
  observe: () => undefined,
  decide: () => ({ children: [], effects: [], status: {} }),
  ...(dependencies ? { dependencies } : {}),
});
const owner = (over: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: "slipway.dev/v1",
  kind: "Suite",
  name: "s",
  uid: "u",
  controller: true,
  ...over,
});
const object = (...ownerReferences: OwnerReference[]): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "c", namespace: "a", ownerReferences },
});
const keys = (before?: KubeObject, after?: KubeObject) =>
  ownersOf([kind("Suite"), kind("Prompt")], before, after).map(
    (each) => `${each.kind.type.kind} ${each.key}`,
  );

describe("ownersOf", () => {
  test.each([
    ["created", undefined, object(owner()), ["Suite a/s"]],
    ["changed", object(owner()), object(owner()), ["Suite a/s"]],
    ["deleted", object(owner()), undefined, ["Suite a/s"]],
    ["given to another", object(owner()), object(owner({ name: "t" })), ["Suite a/s", "Suite a/t"]],
    [
      "given to another kind",
      object(owner()),
      object(owner({ kind: "Prompt" })),
      ["Suite a/s", "Prompt a/s"],
    ],
    ["let go of", object(owner()), object(), ["Suite a/s"]],
    ["of a plain owner", undefined, object(owner({ controller: false })), []],
    ["of another group's Suite", undefined, object(owner({ apiVersion: "other.dev/v1" })), []],
  ])("%s", (_, before, after, expected) => {
    expect(keys(before, after)).toEqual(expected);
  });
});

describe("dependencyKeys", () => {
  test("are in the object's namespace, and those under which a change is looked up", () => {
    const suite = kind("Suite", () => [{ type: type("Prompt"), name: "p" }]);
    expect(dependencyKeys(suite, object())).toEqual([dependencyKey(type("Prompt"), "a", "p")]);
    expect(dependencyKey(type("Prompt"), "b", "p")).not.toBe(dependencyKey(type("Prompt"), "a", "p"));
  });

  test("are in another namespace where one is named", () => {
    const job = kind("Job", () => [{ type: type("Dataset"), name: "d", namespace: "data" }]);
    expect(dependencyKeys(job, object())).toEqual([dependencyKey(type("Dataset"), "data", "d")]);
  });

  test("of an object that cannot be read are none", () => {
    const broken = kind("Suite", (each) => [{ type: type("Prompt"), name: (each.spec as { p: string }).p }]);
    expect(dependencyKeys(broken, object())).toEqual([]);
    expect(dependencyKeys(kind("Suite"), object())).toEqual([]);
  });
});
