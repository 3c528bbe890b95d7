import type { DatasetGates } from "../../../schemas/dataset.ts";
import { PII_KINDS, type PiiKind } from "../../../schemas/dataset-steps.ts";
import { gateFaults } from "../gates.ts";
import { findPii, redact } from "../pii.ts";
import type { Prepared } from "../prepare.ts";
import { type PlacedRow, type Row, textOf, textsOf } from "../row.ts";
import type { DatasetDiff, SideSummary } from "./types.ts";

/** More different answers than these are no labels. */
const MAX_LABELS = 20;
const MAX_LABEL_CHARACTERS = 40;
const ORIGINS = 5;
const BYTES_PER_TOKEN = 4;

/** A prepared Dataset in numbers. */
export function summaryOf(prepared: Prepared, gates: DatasetGates | undefined): SideSummary {
  const rows = rowsOf(prepared);
  const labels = labelsOf(rows);
  const [fault] = gateFaults(gates, prepared);
  return {
    read: prepared.read,
    rows: rows.length,
    splits: prepared.splits.map((split) => ({
      name: split.name,
      rows: split.rows.length,
      tokens: tokensIn(split.rows),
    })),
    steps: prepared.steps.map(({ name, dropped, changed }) => ({ name, dropped, changed })),
    words: prepared.words,
    tokens: tokensIn(rows),
    lengths: prepared.lengths,
    ...(labels ? { labels } : {}),
    pii: piiOf(rows).map(({ kind, rows: count }) => ({ kind, rows: count })),
    ...(fault ? { fault } : {}),
  };
}

const tokensIn = (rows: readonly PlacedRow[]) => rows.reduce((sum, { row }) => sum + tokensOf(row), 0);

/** The rows of all splits. */
export const rowsOf = ({ splits }: Prepared): PlacedRow[] => splits.flatMap(({ rows }) => rows);

/**
 * How many tokens a row will be, about: a quarter of its UTF-8 bytes, as tokenizers with some 50,000 to 200,000
 * entries take English ("one token is about four characters", OpenAI); the model's own tokenizer is not at hand here.
 */
export const tokensOf = (row: Row): number => Math.ceil(Buffer.byteLength(textOf(row)) / BYTES_PER_TOKEN);

/** Rows in which each kind of personal data is found. */
export function piiOf(rows: readonly PlacedRow[]): DatasetDiff["newPii"] {
  const found = new Map<PiiKind, { rows: number; origins: string[] }>();
  for (const { row, origin } of rows) {
    const kinds = new Set(textsOf(row).flatMap((text) => findPii(text, PII_KINDS).map(({ kind }) => kind)));
    for (const kind of kinds) {
      const count = found.get(kind) ?? { rows: 0, origins: [] };
      count.rows++;
      if (count.origins.length < ORIGINS) count.origins.push(origin);
      found.set(kind, count);
    }
  }
  return PII_KINDS.flatMap((kind) => {
    const count = found.get(kind);
    return count ? [{ kind, ...count }] : [];
  });
}

/** Rows by label, or by their answer where the answers are so few and short that they are categories. */
function labelsOf(rows: readonly PlacedRow[]): SideSummary["labels"] {
  const counts = new Map<string, number>();
  for (const { row } of rows) {
    const label = labelOf(row);
    if (label === undefined || label.length > MAX_LABEL_CHARACTERS) return undefined;
    counts.set(label, (counts.get(label) ?? 0) + 1);
    if (counts.size > MAX_LABELS) return undefined;
  }
  // As many different answers as rows are no categories, however few there are.
  if (counts.size === 0 || 2 * counts.size > rows.length) return undefined;
  return [...counts]
    .map(([label, count]) => ({ label: redact(label, findPii(label, PII_KINDS)), rows: count }))
    .sort((a, b) => b.rows - a.rows || (a.label < b.label ? -1 : 1));
}

function labelOf(row: Row): string | undefined {
  if (typeof row.label === "boolean") return String(row.label);
  if (typeof row.completion === "string") return row.completion.trim();
  if (!Array.isArray(row.messages)) return undefined;
  const messages = row.messages as readonly { readonly role: string; readonly content: string }[];
  return messages.findLast(({ role }) => role === "assistant")?.content.trim();
}
