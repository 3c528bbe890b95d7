import { type PlacedRow, textOf, wordsOf } from "../row.ts";
import type { CaseText, Leakage } from "./types.ts";

/** So many words in a row, as the step decontaminate has it by default. */
const NGRAM = 8;
/** A shorter case counts when a row holds it whole; one or two words are in every row and prove nothing. */
const MIN_WORDS = 3;
/** Of the index: about 300 MB of it. */
const MAX_GRAMS = 1_000_000;
const CASES_SHOWN = 20;

/** Which rows share text with which cases. */
export function leakageOf(
  rows: readonly PlacedRow[],
  cases: readonly CaseText[],
  isNew: (row: PlacedRow) => boolean,
): Leakage {
  const { grams, skipped } = indexOf(cases);
  const hits = new Map<CaseText, number>();
  let leaking = 0;
  let newRows = 0;
  for (const placed of rows) {
    const found = casesIn(placed, grams);
    if (found.size === 0) continue;
    leaking++;
    if (isNew(placed)) newRows++;
    for (const each of found) hits.set(each, (hits.get(each) ?? 0) + 1);
  }
  const named = [...hits]
    .map(([{ suite, id }, count]) => ({ suite, id, rows: count }))
    .sort((a, b) => b.rows - a.rows || order(`${a.suite}\0${a.id}`, `${b.suite}\0${b.id}`));
  return { rows: leaking, newRows, cases: named.slice(0, CASES_SHOWN), total: named.length, skipped };
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Cases by their n-grams, and short ones by all of their words. */
function indexOf(cases: readonly CaseText[]): {
  grams: ReadonlyMap<string, readonly CaseText[]>;
  skipped: number;
} {
  const grams = new Map<string, CaseText[]>();
  const add = (gram: string, each: CaseText) => {
    const list = grams.get(gram);
    if (!list) grams.set(gram, [each]);
    // The cases of a suite often share an instruction: a few of them name it well enough.
    else if (list.length < CASES_SHOWN && !list.includes(each)) list.push(each);
  };
  for (const [index, each] of cases.entries()) {
    if (grams.size >= MAX_GRAMS) return { grams, skipped: cases.length - index };
    for (const text of each.texts) {
      const words = wordsOf(text);
      if (words.length < MIN_WORDS) continue;
      const length = Math.min(NGRAM, words.length);
      for (let i = 0; i + length <= words.length; i++) add(words.slice(i, i + length).join(" "), each);
    }
  }
  return { grams, skipped: 0 };
}

function casesIn({ row }: PlacedRow, grams: ReadonlyMap<string, readonly CaseText[]>): Set<CaseText> {
  const words = wordsOf(textOf(row));
  const found = new Set<CaseText>();
  for (let length = MIN_WORDS; length <= NGRAM; length++) {
    for (let i = 0; i + length <= words.length; i++)
      for (const each of grams.get(words.slice(i, i + length).join(" ")) ?? []) found.add(each);
  }
  return found;
}
