import { describe, expect, it } from "vitest";
import {
  apiVersionOf,
  ConfigMap,
  Deployment,
  Namespace,
  objectKey,
  resourcePath,
  splitKey,
} from "./resources.ts";

describe("keys", () => {
  it.each([
    ["ns", "a", "ns/a"],
    [undefined, "a", "a"],
  ])("of %s and %s is %s, and back", (namespace, name, key) => {
    expect(objectKey(namespace, name)).toBe(key);
    expect(splitKey(key)).toEqual({ namespace, name });
  });
});

describe("resourcePath", () => {
  it.each([
    [resourcePath(ConfigMap), "/api/v1/configmaps"],
    [resourcePath(ConfigMap, "ns"), "/api/v1/namespaces/ns/configmaps"],
    [resourcePath(ConfigMap, "ns", "a"), "/api/v1/namespaces/ns/configmaps/a"],
    [resourcePath(Deployment, "ns", "a", "scale"), "/apis/apps/v1/namespaces/ns/deployments/a/scale"],
    [resourcePath(Namespace, undefined, "a"), "/api/v1/namespaces/a"],
    [resourcePath(Namespace, "ignored", "a"), "/api/v1/namespaces/a"],
    [resourcePath(ConfigMap, "ns", "system:a b"), "/api/v1/namespaces/ns/configmaps/system%3Aa%20b"],
  ])("%s", (path, expected) => {
    expect(path).toBe(expected);
  });

  it.each(["", ".", "..", "a/b", "../secrets/x", "a%2fb"])("refuses the name %j", (name) => {
    expect(() => resourcePath(ConfigMap, "ns", name)).toThrow(RangeError);
    expect(() => resourcePath(ConfigMap, name || "..", "a")).toThrow(RangeError);
  });

  it("refuses one object of a namespaced type without its namespace", () => {
    expect(() => resourcePath(ConfigMap, undefined, "a")).toThrow("give its namespace");
  });
});

it("apiVersionOf leaves the core group out", () => {
  expect([apiVersionOf(ConfigMap), apiVersionOf(Deployment)]).toEqual(["v1", "apps/v1"]);
});
