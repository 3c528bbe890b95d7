import { oneLine } from "../escape.ts";

/** Characters before the first difference that are still shown. */
const LEAD = 30;

/**
 * The part of two answers where they differ: long answers often begin alike, and their beginnings would say
 * nothing. Both start at the same place.
 */
export function excerpts(base: string, head: string, limit: number): readonly [base: string, head: string] {
  const [a, b] = [[...oneLine(base, 10_000)], [...oneLine(head, 10_000)]];
  if (a.length <= limit && b.length <= limit) return [a.join(""), b.join("")];
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  const fits = same < limit - LEAD || same === Math.max(a.length, b.length);
  const start = fits ? 0 : same - LEAD;
  const from = (text: readonly string[]) =>
    start === 0 || text.length <= start ? text.join("") : `…${text.slice(start).join("")}`;
  return [from(a), from(b)];
}
