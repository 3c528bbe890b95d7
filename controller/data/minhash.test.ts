import fc from "fast-check";
import { expect, test } from "vitest";
import { BANDS, ShingleSet, Sketcher } from "./minhash.ts";
import { nearClusters } from "./near.ts";
import { wordsOf } from "./words.ts";

const sketcher = new Sketcher();
const shingles = (text: string, ngram: number) => sketcher.shingles([text], ngram);
const set = new ShingleSet(20_000);
const similarity = (a: Uint32Array, b: Uint32Array) => {
  set.assign(a);
  return set.jaccard(b);
};
/** The same from words, by the definition. */
function exactSimilarity(a: string, b: string, ngram: number): number {
  const [left, right] = [a, b].map((text) => {
    const words = wordsOf(text);
    const size = Math.min(ngram, words.length);
    return new Set(words.slice(size - 1).map((_, i) => words.slice(i, i + size).join(" ")));
  });
  const all = new Set([...left!, ...right!]).size;
  return all === 0 ? 1 : (left!.size + right!.size - all) / all;
}

test("similarity is that of the sets of n-grams", () => {
  const a = shingles("a b c d e f g", 5);
  expect(a).toHaveLength(3);
  expect(similarity(a, shingles("A, b c\nd e f g!", 5))).toBe(1);
  expect(similarity(a, shingles("a b c d e f x", 5))).toBe(2 / 4);
  expect(similarity(a, shingles("h i j k l m n", 5))).toBe(0);
  expect(shingles("", 5)).toHaveLength(0);
  expect(shingles(".,;", 5)).toHaveLength(0);
  expect(shingles("a b", 5)).toHaveLength(1);
  expect(shingles("a a a a a a a", 5)).toHaveLength(1);
});

test("similarity is what the definition says of any text, in any script", () => {
  const word = fc.constantFrom(
    "a",
    "B",
    "b",
    "7",
    "Straße",
    "STRASSE",
    "ﬁn",
    "fin",
    "字",
    "e\u0301",
    "é",
    "😀",
    "-",
  );
  const text = fc.array(word, { maxLength: 40 }).map((words) => words.join(" "));
  fc.assert(
    fc.property(text, text, fc.integer({ min: 1, max: 10 }), (a, b, ngram) => {
      expect(similarity(shingles(a, ngram), shingles(b, ngram))).toBe(exactSimilarity(a, b, ngram));
    }),
  );
});

test("texts of a row are one text, and none is too long", () => {
  expect(sketcher.shingles(["a b", "c", "", "d e f"], 5)).toEqual(shingles("a b c d e f", 5));
  const long = Array.from({ length: 20_000 }, (_, i) => `w${i}`).join(" ");
  expect(shingles(long, 5)).toHaveLength(19_996);
  expect(similarity(shingles("a b", 5), shingles(long, 5))).toBe(0);
  expect(similarity(shingles(`${long} x`, 5), shingles(long, 5))).toBe(19_996 / 19_997);
  // NFKC makes eighteen characters of this one.
  expect(shingles("\ufdfa ".repeat(20_000), 1)).toHaveLength(wordsOf("\ufdfa").length);
});

test("long rows that are alike are found beside short ones", () => {
  const long = Array.from({ length: 20_000 }, (_, i) => `w${i}`).join(" ");
  const rows = ["a b c d e f", long, "a b c d e f g", `${long} x`].map((text) => shingles(text, 5));
  expect([...nearClusters(rows, 0.5)]).toEqual([0, 1, 0, 1]);
});

test("keys of bands agree as often as the similarity says", () => {
  let agree = 0;
  let sum = 0;
  for (let i = 0; i < 400; i++) {
    const text = Array.from({ length: 60 }, (_, j) => `w${i}x${j}`);
    const other = [...text.slice(0, 54), "u", "v", "w", "x", "y", "z"];
    const [a, b] = [text, other].map((words) => {
      const keys = new Uint32Array(BANDS);
      sketcher.keys(sketcher.read([words.join(" ")], 5), keys, 0, 1);
      return keys;
    });
    agree += a!.filter((key, band) => key === b![band]).length;
    sum += exactSimilarity(text.join(" "), other.join(" "), 5) ** 5;
  }
  // Of 10,000 bands; a standard deviation is below 50.
  expect(Math.abs(agree - sum * BANDS)).toBeLessThan(250);
});

test("every cluster is similar to its first row, directly or over others; rows without words stay alone", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (rows) => {
      const sets = rows.map((row) => shingles(row.join(" "), 3));
      const clusters = nearClusters(sets, 0.5);
      for (const [i, first] of clusters.entries()) {
        expect(first).toBeLessThanOrEqual(i);
        expect(clusters[first]).toBe(first);
        if (sets[i]!.length === 0) expect(first).toBe(i);
        if (first === i) continue;
        const mates = [...clusters.keys()].filter((j) => j !== i && clusters[j] === first);
        expect(mates.some((j) => similarity(sets[i]!, sets[j]!) >= 0.5)).toBe(true);
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
    const clusters = nearClusters([shingles(text.join(" "), 5), shingles(other.join(" "), 5)], 0.8);
    if (clusters[1] === 0) found++;
  }
  expect(found).toBeGreaterThan(180);
});
