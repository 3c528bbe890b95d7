import fc from "fast-check";
import { expect, test } from "vitest";
import { jaccard, shingles } from "./minhash.ts";
import { nearClusters } from "./near.ts";

const words = (text: string) => text.split(" ");

test("similarity is that of the sets of n-grams", () => {
  const a = shingles(words("a b c d e f g"), 5);
  expect(a).toHaveLength(3);
  expect(jaccard(a, shingles(words("a b c d e f g"), 5))).toBe(1);
  expect(jaccard(a, shingles(words("a b c d e f x"), 5))).toBe(2 / 4);
  expect(jaccard(a, shingles(words("h i j k l m n"), 5))).toBe(0);
  expect(shingles([], 5)).toHaveLength(0);
  expect(shingles(words("a b"), 5)).toHaveLength(1);
});

test("every cluster is similar to its first row, directly or over others; rows without words stay alone", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (rows) => {
      const sets = rows.map((row) => shingles(row, 3));
      const clusters = nearClusters(sets, 0.5);
      for (const [i, first] of clusters.entries()) {
        expect(first).toBeLessThanOrEqual(i);
        expect(clusters[first]).toBe(first);
        if (sets[i]!.length === 0) expect(first).toBe(i);
        if (first === i) continue;
        const mates = [...clusters.keys()].filter((j) => j !== i && clusters[j] === first);
        expect(mates.some((j) => jaccard(sets[i]!, sets[j]!) >= 0.5)).toBe(true);
      }
      // Equal rows are never missed, whatever the hashes.
      for (const [i, set] of sets.entries()) {
        const equal = sets.findIndex((other) => other.length > 0 && other.join() === set.join());
        if (equal >= 0) expect(clusters[i]).toBe(clusters[equal]);
      }
    }),
  );
});

test("at a similarity of 0.9 more than nine in ten are found", () => {
  let found = 0;
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 60 }, (_, j) => `w${(i * 61 + j) % 977}x${j}`);
    const other = [...text.slice(0, 57), "u", "v", "w"];
    const clusters = nearClusters([shingles(text, 5), shingles(other, 5)], 0.8);
    if (clusters[1] === 0) found++;
  }
  expect(found).toBeGreaterThan(180);
});
