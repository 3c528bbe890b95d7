import type { ReplaySignal } from "../../../../schemas/monitor.ts";
import { type CaseRow, type CaseSide, caseKey } from "../../../eval/result.ts";
import { comparePaired, type PairedUnit } from "../../../eval/statistics/index.ts";

/** Digests in the blob store. */
export interface CompareInput {
  readonly metric: ReplaySignal["metric"];
  readonly suiteBundle: string;
  readonly result: string;
  readonly reference?: string;
}

export type CompareOutput =
  | {
      /** The mean, or with a reference the difference to it. */
      readonly value: number;
      readonly lower?: number;
      readonly upper?: number;
      readonly mean: number;
    }
  | { readonly reason: string; readonly message: string };

export interface Comparison {
  readonly metric: ReplaySignal["metric"];
  readonly rows: readonly CaseRow[];
  readonly reference?: readonly CaseRow[];
  readonly repeats: number;
  /** By case id. */
  readonly clusters: ReadonlyMap<string, string>;
}

/**
 * The mean of a run, or its paired difference to the reference with the 90 % interval that gates use too. Cases that
 * only one of the two has do not count.
 */
export function compareRuns({ metric, rows, reference, repeats, clusters }: Comparison): CompareOutput {
  const values = new Map(rows.flatMap((row) => entryOf(row, metric) ?? []));
  if (values.size === 0) return { reason: "NoCaseMeasured", message: `no case has a ${metric}` };
  const mean = [...values.values()].reduce((sum, value) => sum + value, 0) / values.size;
  if (!reference) return { value: mean, mean };
  const known = new Map(reference.flatMap((row) => entryOf(row, metric) ?? []));
  const units = rows.flatMap((row): PairedUnit[] => {
    const id = caseKey(row);
    const [base, head] = [known.get(id), values.get(id)];
    const cluster = clusters.get(row.id);
    if (base === undefined || head === undefined) return [];
    return [{ id, base, head, ...(cluster === undefined ? {} : { cluster }) }];
  });
  if (units.length === 0)
    return { reason: "NoCaseMeasured", message: "the run and its reference have no case in common" };
  const { delta, lower, upper } = comparePaired(units, {
    margin: 0,
    higherIsBetter: metric !== "latency",
    binary: metric === "pass-rate",
    repeats,
    seed: 1,
    ...(metric === "latency" ? {} : { bounds: [0, 1] as const }),
  });
  return { value: delta, lower, upper, mean };
}

function entryOf(row: CaseRow, metric: ReplaySignal["metric"]): [string, number][] | undefined {
  const value = row.head && figureOf(row.head, metric);
  return value === undefined ? undefined : [[caseKey(row), value]];
}

function figureOf(side: CaseSide, metric: ReplaySignal["metric"]): number | undefined {
  if (metric === "pass-rate") return side.passRate;
  return metric === "score" ? side.score : side.latencyMs;
}
