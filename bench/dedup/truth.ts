import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Sketcher } from "../../controller/data/minhash.ts";
import { textsOf } from "../../controller/data/row.ts";

/**
 * Of every `step`-th row, whether another row has an exact Jaccard similarity of `threshold` and more with it: every
 * one of them is compared with all rows that share a 5-gram.
 */
export async function exactDuplicates(
  path: string,
  rows: number,
  sample: number,
  threshold: number,
): Promise<Map<number, boolean>> {
  const step = Math.max(1, Math.floor(rows / sample));
  const sets: { row: number; size: number }[] = [];
  const postings = new Map<number, number[]>();
  for await (const { row, set } of rowsOf(path)) {
    if (row % step !== 0) continue;
    for (const shingle of set) {
      const list = postings.get(shingle);
      if (list) list.push(sets.length);
      else postings.set(shingle, [sets.length]);
    }
    sets.push({ row, size: set.length });
  }
  const found = new Uint8Array(sets.length);
  const shared = new Uint32Array(sets.length);
  for await (const { row, set } of rowsOf(path)) {
    const touched: number[] = [];
    for (const shingle of set) {
      for (const index of postings.get(shingle) ?? []) {
        if (shared[index] === 0) touched.push(index);
        shared[index]!++;
      }
    }
    for (const index of touched) {
      const { row: other, size } = sets[index]!;
      const both = shared[index]!;
      shared[index] = 0;
      if (other !== row && both / (size + set.length - both) >= threshold) found[index] = 1;
    }
  }
  return new Map(sets.map(({ row }, i) => [row, found[i] === 1]));
}

async function* rowsOf(path: string): AsyncGenerator<{ row: number; set: Uint32Array }> {
  const sketcher = new Sketcher();
  let row = 0;
  for await (const line of createInterface({ input: createReadStream(path) }))
    yield { row: row++, set: sketcher.shingles(textsOf(JSON.parse(line)), 5) };
}

/** How well flags match the truth. */
export function accuracy(
  flags: Uint8Array,
  truth: ReadonlyMap<number, boolean>,
): { recall: number; precision: number } {
  let [hits, flagged, real] = [0, 0, 0];
  for (const [row, is] of truth) {
    if (is) real++;
    if (flags[row] !== 0) flagged++;
    if (is && flags[row] !== 0) hits++;
  }
  const rounded = (value: number) => Math.round(value * 1e4) / 1e4;
  return { recall: rounded(hits / real), precision: rounded(hits / flagged) };
}
