import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buckets } from "./near.ts";

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
