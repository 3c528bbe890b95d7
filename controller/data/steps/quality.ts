import type { DatasetStep } from "../../../schemas/dataset-steps.ts";
import { GOPHER } from "../../../schemas/gopher.ts";
import { textOf } from "../row.ts";
import type { RowStep } from "./types.ts";

/** Rae et al. 2021 (Gopher), table A1: most characters in the most frequent n-gram, and in repeated ones. */
const TOP_NGRAM: readonly (readonly [number, number])[] = [
  [2, 0.2],
  [3, 0.18],
  [4, 0.16],
];
const REPEATED_NGRAMS: readonly (readonly [number, number])[] = [
  [5, 0.15],
  [6, 0.14],
  [7, 0.13],
  [8, 0.12],
  [9, 0.11],
  [10, 0.1],
];

type Quality = NonNullable<DatasetStep["quality"]>;

/** Drops what is no prose. Words here are what stands between blanks, as in Gopher's rules. */
export function qualityStep(bounds: Quality = GOPHER): RowStep {
  return (row) => qualityProblem(textOf(row), bounds) ?? row;
}

/** Why a text is no prose; undefined when it is. */
export function qualityProblem(text: string, bounds: Quality): string | undefined {
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return "no words";
  const characters = words.reduce((sum, word) => sum + word.length, 0);
  const mean = characters / words.length;
  if (mean < bounds.minMeanWordLength || mean > bounds.maxMeanWordLength)
    return `words of ${mean.toFixed(1)} characters on average`;
  const symbols = (text.match(/#|…|\.\.\./g) ?? []).length;
  if (symbols / words.length > bounds.maxSymbolShare) return `${symbols} symbols to ${words.length} words`;
  const alphabetic = words.filter((word) => /\p{L}/u.test(word)).length;
  if (alphabetic / words.length < bounds.minAlphabeticShare)
    return `${alphabetic} of ${words.length} words hold a letter`;
  return lineProblem(text, bounds) ?? (bounds.repetition ? repetitionProblem(words, characters) : undefined);
}

function lineProblem(text: string, bounds: Quality): string | undefined {
  const lines = text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  const problem = (count: number, bound: number, what: string) =>
    count / lines.length > bound ? `${count} of ${lines.length} lines ${what}` : undefined;
  const bullets = lines.filter((line) => /^[-*•‣◦]/u.test(line)).length;
  const ellipses = lines.filter((line) => /(?:…|\.\.\.)$/u.test(line)).length;
  return (
    problem(bullets, bounds.maxBulletLineShare, "begin with a bullet") ??
    problem(ellipses, bounds.maxEllipsisLineShare, "end in an ellipsis") ??
    problem(lines.length - new Set(lines).size, bounds.maxDuplicateLineShare, "stood there before")
  );
}

function repetitionProblem(words: readonly string[], characters: number): string | undefined {
  for (const [n, bound] of TOP_NGRAM) {
    const [gram, count] = mostFrequent(words, n);
    // Once is no repetition, however short the text.
    if (count > 1 && (gram.length * count) / characters > bound) return `repeats ${n} words ${count} times`;
  }
  for (const [n, bound] of REPEATED_NGRAMS) {
    const share = repeatedCharacters(words, n) / characters;
    if (share > bound) return `${(share * 100).toFixed(0)} % repeated ${n}-grams`;
  }
  return undefined;
}

/** Without the blanks between the words, like the sum that it is compared with. */
const gramAt = (words: readonly string[], at: number, n: number) => words.slice(at, at + n).join("\0");
const charactersOf = (gram: string, n: number) => gram.length - (n - 1);

function mostFrequent(words: readonly string[], n: number): [{ length: number }, number] {
  const counts = new Map<string, number>();
  let top = "";
  for (let at = 0; at + n <= words.length; at++) {
    const gram = gramAt(words, at, n);
    const count = (counts.get(gram) ?? 0) + 1;
    counts.set(gram, count);
    if (count > (counts.get(top) ?? 0) || (count === counts.get(top) && gram.length > top.length)) top = gram;
  }
  return [{ length: charactersOf(top, n) }, counts.get(top) ?? 0];
}

/** Characters of n-grams that stood before, each counted once. */
function repeatedCharacters(words: readonly string[], n: number): number {
  const seen = new Set<string>();
  let characters = 0;
  for (let at = 0; at + n <= words.length; ) {
    const gram = gramAt(words, at, n);
    if (seen.has(gram)) {
      characters += charactersOf(gram, n);
      at += n;
    } else {
      seen.add(gram);
      at++;
    }
  }
  return characters;
}
