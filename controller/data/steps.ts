import { eld } from "eld/medium";
import type { DatasetStep } from "../../schemas/dataset-steps.ts";
import { sha256 } from "../graph/canonical.ts";
import { nearClusters, shingles } from "./minhash.ts";
import { findPii, redact } from "./pii.ts";
import { lineOf, mapTexts, ownText, type PlacedRow, textOf, textsOf, wordsOf } from "./row.ts";

export interface StepContext {
  /** Texts of the cases of each EvalSuite that a step names. */
  readonly cases: ReadonlyMap<string, readonly string[]>;
}

export interface Dropped {
  readonly origin: string;
  /** Why, in words. */
  readonly reason: string;
}

export interface StepResult {
  readonly rows: readonly PlacedRow[];
  readonly dropped: readonly Dropped[];
  /** Rows that stay with another text. */
  readonly changed: number;
}

/** Runs one step. Depends on the rows, their order and the step alone. */
export function runStep(step: DatasetStep, rows: readonly PlacedRow[], context: StepContext): StepResult {
  switch (step.type) {
    case "normalize":
      return replaceTexts(rows, normalize);
    case "length":
      return keep(rows, ({ row }) => lengthProblem(wordsOf(textOf(row)).length, step.length ?? {}));
    case "language":
      return keep(rows, ({ row }) => languageProblem(textOf(row), step.language!));
    case "exactDedup":
      return exactDedup(rows);
    case "nearDedup":
      return nearDedup(rows, step.nearDedup?.threshold ?? 0.7, step.nearDedup?.ngram ?? 5);
    case "pii":
      return pii(rows, step);
    case "decontaminate":
      return decontaminate(rows, step.decontaminate!, context);
    case "sample":
      return sample(rows, step.sample!.rows, step.sample!.seed);
  }
}

function keep(rows: readonly PlacedRow[], problem: (row: PlacedRow) => string | undefined): StepResult {
  const kept: PlacedRow[] = [];
  const dropped: Dropped[] = [];
  for (const row of rows) {
    const reason = problem(row);
    if (reason === undefined) kept.push(row);
    else dropped.push({ origin: row.origin, reason });
  }
  return { rows: kept, dropped, changed: 0 };
}

function replaceTexts(rows: readonly PlacedRow[], change: (text: string) => string): StepResult {
  let changed = 0;
  const result = rows.map((placed) => {
    const row = mapTexts(placed.row, change);
    if (lineOf(row) === lineOf(placed.row)) return placed;
    changed++;
    return { ...placed, row };
  });
  return { rows: result, dropped: [], changed };
}

function normalize(text: string): string {
  return text
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\p{Cc}\p{Cf}](?<![\n\t\u200c\u200d])/gu, "")
    .replace(/[ \t]+$/gm, "")
    .trim();
}

function lengthProblem(
  words: number,
  { minWords = 0, maxWords = Number.POSITIVE_INFINITY }: NonNullable<DatasetStep["length"]>,
) {
  if (words < minWords) return `${words} words`;
  return words > maxWords ? `${words} words` : undefined;
}

function languageProblem(
  text: string,
  { allow, minWords }: NonNullable<DatasetStep["language"]>,
): string | undefined {
  if (wordsOf(text).length < minWords) return undefined;
  const found = eld.detect(text).language;
  return found !== "" && !allow.includes(found) ? `language ${found}` : undefined;
}

function exactDedup(rows: readonly PlacedRow[]): StepResult {
  const seen = new Map<string, string>();
  return keep(rows, ({ row, origin }) => {
    const key = sha256(lineOf(row));
    const first = seen.get(key);
    if (first === undefined) seen.set(key, origin);
    return first === undefined ? undefined : `the same as ${first}`;
  });
}

function nearDedup(rows: readonly PlacedRow[], threshold: number, ngram: number): StepResult {
  const clusters = clustersOf(rows, threshold, ngram);
  let index = -1;
  return keep(rows, () => {
    index++;
    const first = clusters[index]!;
    return first === index ? undefined : `like ${rows[first]!.origin}`;
  });
}

/** The index of the first row of each row's cluster of near-duplicates. */
export function clustersOf(rows: readonly PlacedRow[], threshold: number, ngram: number): Uint32Array {
  return nearClusters(
    rows.map(({ row }) => shingles(wordsOf(ownText(row)), ngram)),
    threshold,
  );
}

function pii(rows: readonly PlacedRow[], step: DatasetStep): StepResult {
  const { action = "Redact", kinds = undefined } = step.pii ?? {};
  const wanted = kinds ?? (["email", "phone", "iban", "card", "ip", "key"] as const);
  if (action === "Redact") return replaceTexts(rows, (text) => redact(text, findPii(text, wanted)));
  if (action === "Report") return { rows, dropped: [], changed: 0 };
  return keep(rows, ({ row }) => {
    const [first] = textsOf(row).flatMap((text) => findPii(text, wanted));
    // The kind alone: a report must not carry what it warns of.
    return first && `holds ${first.kind}`;
  });
}

function decontaminate(
  rows: readonly PlacedRow[],
  { against, ngram }: NonNullable<DatasetStep["decontaminate"]>,
  { cases }: StepContext,
) {
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
  return keep(rows, ({ row }) => {
    const words = wordsOf(textOf(row));
    for (let i = 0; i + ngram <= words.length; i++) {
      const suite = grams.get(words.slice(i, i + ngram).join(" "));
      if (suite !== undefined) return `shares ${ngram} words with a case of ${suite}`;
    }
    const line = ` ${words.join(" ")} `;
    const found = short.find((each) => line.includes(each.words));
    return found && `holds a case of ${found.suite}`;
  });
}

/** The rows with the least digests: evenly drawn, and the same for the same rows in any order. */
function sample(rows: readonly PlacedRow[], count: number, seed: number): StepResult {
  const ranked = rows.map(({ row }, index) => ({ index, rank: sha256(`${seed}\0${lineOf(row)}`) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : a.index - b.index));
  const kept = new Set(ranked.slice(0, count).map(({ index }) => index));
  let index = -1;
  return keep(rows, () => {
    index++;
    return kept.has(index) ? undefined : "not drawn";
  });
}
