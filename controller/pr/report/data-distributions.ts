import type { DatasetDiff, SideSummary } from "../../data/diff/types.ts";
import { code } from "../escape.ts";
import type { Detail } from "./input.ts";
import { details, paragraphs, table } from "./markdown.ts";

/** How long rows are and which answers they have, on both sides. */
export function distributions({ base, head }: DatasetDiff, detail: Detail): string {
  const before = base && "summary" in base ? base.summary : undefined;
  const after = head && "summary" in head ? head.summary : undefined;
  if (!after || detail.folded < 20) return "";
  const lengths = shares(
    "words in a row",
    before?.lengths.map(({ upTo, rows }) => [String(upTo), rows]),
    after.lengths.map(({ upTo, rows }) => [String(upTo), rows]),
    before,
    after,
    (upTo) => `up to ${Number(upTo).toLocaleString("en")}`,
  );
  const labels = shares(
    "answer",
    before?.labels?.map(({ label, rows }) => [label, rows]),
    after.labels?.map(({ label, rows }) => [label, rows]),
    before,
    after,
    (label) => code(label, 40),
  );
  return details("Distributions", paragraphs(lengths, labels));
}

type Counts = readonly (readonly [key: string, rows: number])[] | undefined;

/** Each side's share of rows; empty where one side has too many different values to be shown. */
function shares(
  title: string,
  base: Counts,
  head: Counts,
  before: SideSummary | undefined,
  after: SideSummary,
  show: (key: string) => string,
): string {
  if (!head || (before && !base)) return "";
  const keys = [...new Set([...head, ...(base ?? [])].map(([key]) => key))];
  if (keys.every((key) => /^\d+$/.test(key))) keys.sort((a, b) => Number(a) - Number(b));
  const share = (counts: Counts, key: string, all: number | undefined) =>
    counts && all ? (100 * sum(counts, key)) / all : undefined;
  const rows = keys.map((key) => {
    const [from, to] = [share(base, key, before?.rows), share(head, key, after.rows)];
    return [
      show(key),
      percent(from),
      percent(to),
      from === undefined || to === undefined ? "–" : moved(to - from),
    ];
  });
  return table([title, ["base", ">"], ["head", ">"], ["points", ">"]], rows);
}

/** Masked labels can be equal. */
const sum = (counts: NonNullable<Counts>, key: string) =>
  counts.reduce((total, [each, rows]) => (each === key ? total + rows : total), 0);

const percent = (share: number | undefined) => (share === undefined ? "–" : `${share.toFixed(1)} %`);

function moved(points: number): string {
  const text = Math.abs(points).toFixed(1);
  return text === "0.0" ? "±0.0" : `${points > 0 ? "+" : "−"}${text}`;
}
