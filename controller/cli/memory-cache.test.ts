import { expect, test } from "vitest";
import { memoryCache } from "./memory-cache.ts";

test("keeps answers by tenant, bucket and key", async () => {
  const cache = memoryCache();
  await cache.put("a", "generation", "k", { text: "hi" });
  expect(cache.get("a", "generation", "k")).toEqual({ text: "hi" });
  for (const [tenant, bucket, key] of [
    ["b", "generation", "k"],
    ["a", "grade", "k"],
    ["a", "generation", "l"],
  ] as const)
    expect(cache.get(tenant, bucket, key)).toBeUndefined();
});
