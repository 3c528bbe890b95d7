import { describe, expect, test } from "vitest";
import type { KubeObject } from "../kube/resources.ts";
import { OwnWrites, olderThan } from "./freshness.ts";

const at = (resourceVersion: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", resourceVersion },
});

test.each([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["18446744073709551615", "18446744073709551616", true],
  ["abc", "abd", false],
  [undefined, "1", false],
])("olderThan(%s, %s) is %s", (a, b, expected) => {
  expect(olderThan(a, b)).toBe(expected);
});

describe("what we wrote", () => {
  test("stands for a cache that is absent or older, until the cache has caught up", () => {
    const writes = new OwnWrites(() => 0);
    const written = at("10");
    writes.wrote("x", written);
    expect(writes.latest("x", undefined)).toBe(written);
    expect(writes.latest("x", at("9"))).toBe(written);
    expect(writes.has("x")).toBe(true);
    const newer = at("11");
    expect(writes.latest("x", newer)).toBe(newer);
    expect(writes.latest("x", undefined)).toBeUndefined();
  });

  test("ends with a later deletion, not with an earlier one", () => {
    const writes = new OwnWrites(() => 0);
    writes.wrote("x", at("10"));
    writes.deleted("x", at("9"));
    expect(writes.has("x")).toBe(true);
    writes.deleted("x", at("12"));
    expect(writes.has("x")).toBe(false);
  });

  test("is not believed for ever", () => {
    let now = 0;
    const writes = new OwnWrites(() => now);
    writes.wrote("x", at("10"));
    now = 30_001;
    expect(writes.latest("x", undefined)).toBeUndefined();
  });
});
