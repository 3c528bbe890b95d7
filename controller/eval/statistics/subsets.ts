import { Xoshiro128 } from "./random.ts";

/** Means of subsets of weighted units, ascending; `empty` counts the empty subsets, which have none. */
export interface SubsetMeans {
  readonly means: Float64Array;
  readonly empty: number;
}

/** Every subset of up to 30 units; each is a smaller one and its lowest unit. */
export function allSubsetMeans(sums: Float64Array, weights: Float64Array): SubsetMeans {
  const total = 2 ** sums.length;
  const sumOf = new Float64Array(total);
  const weightOf = new Float64Array(total);
  for (let subset = 1; subset < total; subset++) {
    const lowest = 31 - Math.clz32(subset & -subset);
    const rest = subset & (subset - 1);
    sumOf[subset] = sumOf[rest]! + sums[lowest]!;
    weightOf[subset] = weightOf[rest]! + weights[lowest]!;
  }
  return toMeans(sumOf, weightOf);
}

/**
 * `draws` subsets in which each unit is present with probability 1/2. Thirty-two units share a random word for each
 * draw; a table of the 256 sums of each eight units turns its bytes into sums, so that a draw costs n/8 additions.
 * Blocks of units are the outer loop: the tables stay in the first-level cache.
 */
export function randomSubsetMeans(
  sums: Float64Array,
  weights: Float64Array,
  draws: number,
  seed: number,
): SubsetMeans {
  const random = Xoshiro128.fromSeed(seed);
  const words = new Int32Array(draws);
  const sumOf = new Float64Array(draws);
  const weightOf = new Float64Array(draws);
  const sumTable = new Float64Array(1024);
  const weightTable = new Float64Array(1024);
  const equal = weights.every((weight) => weight === 1);
  for (let start = 0; start < sums.length; start += 32) {
    random.fill(words);
    fillTable(sumTable, sums, start);
    addSums(sumOf, words, sumTable);
    if (equal) {
      const left = sums.length - start;
      addCounts(weightOf, words, left >= 32 ? -1 : 2 ** left - 1);
    } else {
      fillTable(weightTable, weights, start);
      addSums(weightOf, words, weightTable);
    }
  }
  return toMeans(sumOf, weightOf);
}

function fillTable(table: Float64Array, values: Float64Array, start: number): void {
  for (let byte = 0; byte < 4; byte++) {
    const offset = byte * 256;
    for (let subset = 1; subset < 256; subset++) {
      const lowest = 31 - Math.clz32(subset & -subset);
      table[offset + subset] =
        table[offset + (subset & (subset - 1))]! + (values[start + byte * 8 + lowest] ?? 0);
    }
  }
}

function addSums(into: Float64Array, words: Int32Array, table: Float64Array): void {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    into[i]! +=
      table[word & 255]! +
      table[256 + ((word >>> 8) & 255)]! +
      (table[512 + ((word >>> 16) & 255)]! + table[768 + (word >>> 24)]!);
  }
}

/** Adds the number of set bits of each word (Warren, Hacker's Delight, 5-1). */
function addCounts(into: Float64Array, words: Int32Array, mask: number): void {
  for (let i = 0; i < words.length; i++) {
    let bits = words[i]! & mask;
    bits -= (bits >>> 1) & 0x55555555;
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
    into[i]! += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
}

function toMeans(sums: Float64Array, weights: Float64Array): SubsetMeans {
  const means = new Float64Array(sums.length);
  let count = 0;
  for (let i = 0; i < sums.length; i++) {
    if (weights[i]! > 0) means[count++] = sums[i]! / weights[i]!;
  }
  return { means: means.subarray(0, count).sort(), empty: sums.length - count };
}
