import { sha256 } from "../../graph/canonical.ts";
import { Sketcher } from "../minhash.ts";
import { nearClusters } from "../near.ts";
import { lineOf, ownTexts, type PlacedRow, type Row } from "../row.ts";
import type { RowChanges } from "./types.ts";

/** Rows of one side beyond which near-duplicates are not looked for. */
const MAX_NEAR = 50_000;
const NEAR = { threshold: 0.7, ngram: 5 };

export interface Comparison {
  readonly changes: RowChanges;
  /** Rows of the head that the base does not have, in order: added and changed ones. */
  readonly fresh: readonly PlacedRow[];
}

/**
 * Compares two lists of rows. A row is the same when its whole content is. Of the others a pair counts as changed
 * that asks the same (all before the last answer, system messages apart), or else one that is near-duplicate as the
 * step nearDedup has it. What is left was added or removed. Equal rows count as often as they occur.
 */
export function compareRows(base: readonly PlacedRow[], head: readonly PlacedRow[]): Comparison {
  const known = new Map<string, PlacedRow[]>();
  for (const placed of base) into(known, sha256(lineOf(placed.row)), placed);
  const fresh = head.filter(({ row }) => known.get(sha256(lineOf(row)))?.pop() === undefined);
  const gone = [...known.values()].flat();
  const asked = new Map<string, PlacedRow[]>();
  for (const placed of gone) into(asked, askOf(placed.row), placed);
  const unasked = fresh.filter(({ row }) => asked.get(askOf(row))?.pop() === undefined);
  const left = [...asked.values()].flat();
  const near = unasked.length <= MAX_NEAR && left.length <= MAX_NEAR;
  const alike = near ? nearPairs(left, unasked) : 0;
  return {
    changes: {
      same: head.length - fresh.length,
      added: unasked.length - alike,
      removed: left.length - alike,
      changed: fresh.length - unasked.length + alike,
      near,
    },
    fresh,
  };
}

function into<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** What a row asks, without what it answers: the same question with another answer is a changed row. */
function askOf(row: Row): string {
  if (!Array.isArray(row.messages)) return sha256(String(row.prompt));
  const messages = row.messages as readonly { readonly role: string; readonly content: string }[];
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  const before = messages.slice(0, last < 0 ? messages.length : last);
  return sha256(
    JSON.stringify(before.flatMap(({ role, content }) => (role === "system" ? [] : [role, content]))),
  );
}

/** How many pairs of one removed and one added row are near-duplicates: in each cluster as many as the fewer side has. */
function nearPairs(removed: readonly PlacedRow[], added: readonly PlacedRow[]): number {
  if (removed.length === 0 || added.length === 0) return 0;
  const sketcher = new Sketcher();
  const clusters = nearClusters(
    [...removed, ...added].map(({ row }) => sketcher.shingles(ownTexts(row), NEAR.ngram)),
    NEAR.threshold,
  );
  const sides = new Map<number, [removed: number, added: number]>();
  for (const [index, leader] of clusters.entries()) {
    const counts = sides.get(leader) ?? [0, 0];
    counts[index < removed.length ? 0 : 1]++;
    sides.set(leader, counts);
  }
  return [...sides.values()].reduce((sum, [before, after]) => sum + Math.min(before, after), 0);
}
