import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buckets, Clusters } from "./near.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-near-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("rows with an equal key are found together and in order, in more than one table of them too", async () => {
  const half = 70_000;
  // Different for each row of a half, and all over the numbers.
  const keys = Uint32Array.from({ length: 2 * half }, (_, row) => Math.imul(row % half, 0x9e3779b1));
  const path = join(folder, "keys");
  await writeFile(path, keys);
  const left = new Uint8Array(keys.length);
  left[7] = 1;
  const parents = Uint32Array.from(keys, (_, row) => row);
  // In one cluster already, over others.
  [parents[half + 9], parents[half + 11]] = [9, half + 9];
  parents[11] = 9;
  const groups = buckets({ keys: { paths: [path], rows: [keys.length] }, column: 0, left, parents });
  const others = new Map<number, number>();
  for (let at = 0; at < groups.length; at += 3) {
    expect(groups[at]).toBe(2);
    others.set(groups[at + 1]!, groups[at + 2]!);
  }
  expect(others.size).toBe(half - 3);
  for (const row of [7, 9, 11]) expect(others.has(row)).toBe(false);
  expect([...others].every(([row, other]) => other === row + half)).toBe(true);
});

test.each([
  ["the same row and another", [65_536 + 5, 131_072 + 9]],
  ["another row and the same", [5, 65_536 + 9]],
])("a pair that was found unlike says nothing of %s, which is remembered in its place", (_, unlike) => {
  const alike = new Set([5, 131_072 + 9]);
  const [one, other] = [Uint32Array.of(1, 2, 3), Uint32Array.of(4, 5, 6)];
  const clusters = new Clusters(262_144, 0.7, (row) => (alike.has(row) ? one : other), 3);
  const like = [5, 131_072 + 9];
  for (const pair of [unlike, unlike, like, unlike]) clusters.join(Uint32Array.of(2, ...pair));
  expect([like, unlike].map(([a, b]) => clusters.first(a!) === clusters.first(b!))).toEqual([true, false]);
});
