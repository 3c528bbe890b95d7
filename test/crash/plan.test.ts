import { expect, it } from "vitest";
import { groups, killPoints, sample, seedOf } from "./plan.ts";

const sites = new Map([
  ["api apply ConfigMap", 2],
  ["api delete EvalRun", 1],
  ["forge set status", 4],
  ["store blob/put", 8],
]);

it("kills before and after the first and the last write of each site", () => {
  const points = killPoints(sites);
  expect(points).toHaveLength(2 * (2 + 1 + 2 + 2));
  expect(
    points.filter(({ site }) => site === "forge set status").map(({ nth, phase }) => [nth, phase]),
  ).toEqual([
    [1, "before"],
    [1, "after"],
    [4, "before"],
    [4, "after"],
  ]);
});

it("puts all of them together in groups, no site twice in one", () => {
  const points = killPoints(sites);
  for (const size of [1, 3, 8, 99]) {
    const found = groups(points, size);
    expect(new Set(found.flat())).toEqual(new Set(points));
    expect(found.flat()).toHaveLength(points.length);
    for (const group of found) expect(new Set(group.map(({ site }) => site)).size).toBe(group.length);
  }
});

it("samples the same for a seed, others for another, no site twice and every side", () => {
  const points = killPoints(sites);
  expect(sample(points, 3, 7)).toEqual(sample(points, 3, 7));
  const drawn = Array.from({ length: 50 }, (_, seed) => sample(points, 3, seed));
  expect(new Set(drawn.map((list) => JSON.stringify(list))).size).toBeGreaterThan(5);
  for (const list of drawn) {
    expect(new Set(list.map(({ site }) => site)).size).toBe(3);
    expect(new Set(list.map(({ site }) => site.split(" ")[0])).size).toBe(3);
  }
  expect(sample(points, 99, 1)).toHaveLength(sites.size);
});

it("leaves no side out for good", () => {
  const drawn = Array.from({ length: 50 }, (_, seed) => sample(killPoints(sites), 1, seed));
  expect(new Set(drawn.flat().map(({ site }) => site.split(" ")[0])).size).toBe(3);
});

it("takes the seed from the environment", () => {
  expect(seedOf({ SLIPWAY_CRASH_SEED: "42" })).toBe(42);
});
