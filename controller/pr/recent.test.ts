import { expect, test } from "vitest";
import { Recent } from "./recent.ts";

test("makes a value once, and forgets what was used longest ago", async () => {
  const made: string[] = [];
  const recent = new Recent<string>(2);
  const get = (key: string) =>
    recent.get(key, async () => {
      made.push(key);
      return key.toUpperCase();
    });
  for (const key of ["a", "b", "a", "c", "a", "b"]) expect(await get(key)).toBe(key.toUpperCase());
  expect(made).toEqual(["a", "b", "c", "b"]);
});

test("keeps no failure", async () => {
  const recent = new Recent<number>(2);
  await expect(recent.get("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await recent.get("a", async () => 1)).toBe(1);
});
