import type { DatasetSpec } from "../../schemas/dataset.ts";
import { SlipwayError } from "../errors.ts";
import { sha256 } from "../graph/canonical.ts";
import { findPii } from "./pii.ts";
import { type BadRow, type DataFile, readRows } from "./read.ts";
import { lineOf, type PlacedRow, textOf, textsOf, wordsOf } from "./row.ts";
import { clustersOf, type Dropped, runStep, type StepContext } from "./steps.ts";

/** The sources of a Dataset with their content. */
export interface SourceData {
  readonly name: string;
  readonly files: readonly DataFile[];
}

export interface StepCount {
  readonly name: string;
  /** Rows that came in. */
  readonly rows: number;
  readonly dropped: number;
  readonly changed: number;
  /** The first few that were dropped, each with the reason. */
  readonly samples: readonly Dropped[];
}

/** What preparing has come to, before anything is written. */
export interface Prepared {
  readonly read: number;
  readonly steps: readonly StepCount[];
  readonly splits: readonly { readonly name: string; readonly rows: readonly PlacedRow[] }[];
  /** Rows of the result in which personal data or keys are found. */
  readonly piiRows: number;
  readonly words: number;
  /** How many rows have up to 1, 2, 4, 8… words; for the histogram. */
  readonly lengths: readonly { readonly upTo: number; readonly rows: number }[];
}

export type PrepareSpec = Pick<
  DatasetSpec,
  "format" | "sources" | "onBadRow" | "steps" | "splits" | "splitSeed"
>;

const SAMPLES = 5;
/** Of a text in a report. */
const BAD_ROWS_SHOWN = 5;

/**
 * Reads the sources and runs the steps in order. The result depends on the spec, the contents and the cases alone:
 * not on time, machine, or how the work is divided.
 * @throws SlipwayError BadRows, UnreadableData, EmptySource
 */
export async function prepare(
  spec: PrepareSpec,
  sources: readonly SourceData[],
  context: StepContext,
): Promise<Prepared> {
  const bad: BadRow[] = [];
  let rows: PlacedRow[] = [];
  let read = 0;
  for (const source of spec.sources) {
    const found: PlacedRow[] = [];
    for (const file of sources.find(({ name }) => name === source.name)?.files ?? []) {
      const result = await readRows(file, spec.format);
      for (const row of result.rows) found.push(row);
      for (const row of result.bad) bad.push(row);
    }
    if (found.length === 0 && bad.length === 0) {
      throw new SlipwayError("EmptySource", `the source ${source.name} has no rows`);
    }
    read += found.length;
    for (const row of source.weight < 1 ? drawn(found, source.weight, source.name) : found) rows.push(row);
  }
  read += bad.length;
  if (bad.length > 0 && spec.onBadRow === "Fail") throw badRows(bad);
  const steps: StepCount[] = [];
  if (bad.length > 0) {
    const samples = bad.slice(0, SAMPLES).map(({ origin, message }) => ({ origin, reason: message }));
    steps.push({ name: "bad-rows", rows: read, dropped: bad.length, changed: 0, samples });
  }
  const weighted = read - bad.length - rows.length;
  if (weighted > 0) {
    steps.push({ name: "weights", rows: read - bad.length, dropped: weighted, changed: 0, samples: [] });
  }
  for (const step of spec.steps) {
    const { rows: kept, dropped, changed } = runStep(step, rows, context);
    steps.push({
      name: step.name,
      rows: rows.length,
      dropped: dropped.length,
      changed,
      samples: dropped.slice(0, SAMPLES),
    });
    rows = [...kept];
  }
  return {
    read,
    steps,
    splits: splitRows(rows, spec),
    piiRows: rows.filter(({ row }) => textsOf(row).some((text) => findPii(text, ALL_PII).length > 0)).length,
    ...wordCounts(rows),
  };
}

const ALL_PII = ["email", "phone", "iban", "card", "ip", "key"] as const;

function badRows(bad: readonly BadRow[]): SlipwayError {
  const shown = bad.slice(0, BAD_ROWS_SHOWN).map(({ origin, message }) => `${origin}: ${message}`);
  const more = bad.length > shown.length ? `; and ${bad.length - shown.length} more` : "";
  return new SlipwayError("BadRows", `${bad.length} bad rows: ${shown.join("; ")}${more}`, {
    hint: "mend them, or leave them out with onBadRow: Drop",
  });
}

/** An even share of a source's rows: those with the least digests. */
function drawn(rows: readonly PlacedRow[], weight: number, seed: string): PlacedRow[] {
  const limit = weight * 2 ** 32;
  return rows.filter(({ row }) => fraction(`${seed}\0${lineOf(row)}`) < limit);
}

/** An even number below 2^32 that depends on the text alone. */
const fraction = (text: string): number => Number.parseInt(sha256(text).slice(0, 8), 16);

/** Each cluster of near-duplicates falls into one split, by the digest of its first row. */
function splitRows(rows: readonly PlacedRow[], { splits, splitSeed }: PrepareSpec): Prepared["splits"] {
  if (splits.length === 1) return [{ name: splits[0]!.name, rows }];
  const clusters = clustersOf(rows, 0.7, 5);
  const result = splits.map(({ name }) => ({ name, rows: [] as PlacedRow[] }));
  for (const [index, row] of rows.entries()) {
    const leader = rows[clusters[index]!]!;
    const place = (fraction(`${splitSeed}\0${lineOf(leader.row)}`) / 2 ** 32) * 100;
    result[splitAt(splits, place)]!.rows.push(row);
  }
  return result;
}

/** @param place from 0 up to 100 */
function splitAt(splits: PrepareSpec["splits"], place: number): number {
  let upTo = 0;
  for (const [at, { percent }] of splits.entries()) {
    upTo += percent;
    if (place < upTo) return at;
  }
  return splits.length - 1;
}

function wordCounts(rows: readonly PlacedRow[]): Pick<Prepared, "words" | "lengths"> {
  let words = 0;
  const counts = new Map<number, number>();
  for (const { row } of rows) {
    const length = wordsOf(textOf(row)).length;
    words += length;
    const upTo = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, length))));
    counts.set(upTo, (counts.get(upTo) ?? 0) + 1);
  }
  const lengths = [...counts].sort(([a], [b]) => a - b).map(([upTo, count]) => ({ upTo, rows: count }));
  return { words, lengths };
}
