import type { DatasetStep } from "../../../schemas/dataset-steps.ts";
import { textOf } from "../row.ts";
import { wordsOf } from "../words.ts";
import type { RowStep } from "./types.ts";

/** Drops rows that share n words in a row with a case, or hold a shorter case whole. */
export function decontaminateStep(
  { against, ngram }: NonNullable<DatasetStep["decontaminate"]>,
  cases: ReadonlyMap<string, readonly string[]>,
): RowStep {
  const grams = new Map<string, string>();
  const short: { suite: string; words: string }[] = [];
  for (const { name } of against) {
    for (const text of cases.get(name) ?? []) {
      const words = wordsOf(text);
      // One or two words are in every row: they prove nothing.
      if (words.length < ngram && words.length >= 3)
        short.push({ suite: name, words: ` ${words.join(" ")} ` });
      for (let i = 0; i + ngram <= words.length; i++) grams.set(words.slice(i, i + ngram).join(" "), name);
    }
  }
  return (row) => {
    const words = wordsOf(textOf(row));
    for (let i = 0; i + ngram <= words.length; i++) {
      const suite = grams.get(words.slice(i, i + ngram).join(" "));
      if (suite !== undefined) return `shares ${ngram} words with a case of ${suite}`;
    }
    const line = ` ${words.join(" ")} `;
    const found = short.find((each) => line.includes(each.words));
    return found ? `holds a case of ${found.suite}` : row;
  };
}
