import { type CaseRow, caseKey } from "./result.ts";

/**
 * Keys of the cases that got worse, worst first: from pass to fail, critical ones ahead, then by lost score. Without a
 * base, the head's failures.
 */
export function worstCases(rows: readonly CaseRow[], limit = 10): string[] {
  return rows
    .map((row) => ({ row, rank: rankOf(row) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => compare(a.rank!, b.rank!))
    .slice(0, limit)
    .map(({ row }) => caseKey(row));
}

/** How many cases pass more often than on the base, and how many less often. */
export function countChanges(rows: readonly CaseRow[]): { improved: number; regressed: number } {
  const changes = rows.flatMap(({ base, head }) => (base && head ? [head.passRate - base.passRate] : []));
  return {
    improved: changes.filter((change) => change > 0).length,
    regressed: changes.filter((change) => change < 0).length,
  };
}

/** Compared number by number, greater first; undefined for a case that is no worse. */
function rankOf({ base, head, critical }: CaseRow): number[] | undefined {
  if (!head) return undefined;
  const weight = critical ? 1 : 0;
  if (!base) return head.pass ? undefined : [0, weight, 1 - head.score];
  const lostPasses = base.passRate - head.passRate;
  const lostScore = base.score - head.score;
  if (lostPasses <= 0 && lostScore <= 0) return undefined;
  return [base.pass && !head.pass ? 1 : 0, weight, lostPasses, lostScore];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : (b[index] ?? 0) - a[index]!;
}
