import type { DatasetSpec } from "../../schemas/dataset.ts";
import type { DatasetStep } from "../../schemas/dataset-steps.ts";
import { isGlobal } from "./steps/compile.ts";

export type PrepareSpec = Pick<
  DatasetSpec,
  "format" | "sources" | "schema" | "onBadRow" | "steps" | "splits" | "splitSeed"
>;

/** What looks at all rows together: a step, or the last of all, which keeps near-duplicates in one split. */
export type Global =
  | { readonly type: "exactDedup"; readonly step: string }
  | { readonly type: "nearDedup"; readonly step: string; readonly threshold: number; readonly ngram: number }
  | { readonly type: "sample"; readonly step: string; readonly rows: number; readonly seed: number }
  | {
      readonly type: "aggregate";
      readonly step: string;
      readonly shares: readonly { readonly source: string; readonly share: number }[];
      readonly rows?: number | undefined;
    }
  | { readonly type: "split"; readonly threshold: number; readonly ngram: number };

/** Once over all rows: the steps that look at one at a time, then what the global ones need to know of each. */
export interface Pass {
  readonly steps: readonly DatasetStep[];
  readonly globals: readonly Global[];
}

export interface Passes {
  /** Steps over the columns of the sources, before they are rows of the format. */
  readonly records: readonly DatasetStep[];
  readonly passes: readonly Pass[];
  /** Steps after the last global one: they run while the result is written. */
  readonly last: readonly DatasetStep[];
}

/** Near-duplicates fall into one split; these are what counts as such. */
export const SPLIT_NEAR = { threshold: 0.7, ngram: 5 } as const;

/** Cuts the steps into as few passes over the rows as their order allows. */
export function passesOf({ steps, splits }: PrepareSpec): Passes {
  const records: DatasetStep[] = [];
  const passes: { steps: DatasetStep[]; globals: Global[] }[] = [];
  let open: { steps: DatasetStep[]; globals: Global[] } = { steps: [], globals: [] };
  const lastMap = steps.findLastIndex(({ type }) => type === "map");
  for (const [i, step] of steps.entries()) {
    if (i <= lastMap) records.push(step);
    else if (isGlobal(step)) open.globals.push(globalOf(step));
    else {
      if (open.globals.length > 0) {
        passes.push(open);
        open = { steps: [], globals: [] };
      }
      open.steps.push(step);
    }
  }
  if (splits.length > 1) open.globals.push({ type: "split", ...SPLIT_NEAR });
  if (open.globals.length === 0) return { records, passes, last: open.steps };
  return { records, passes: [...passes, open], last: [] };
}

function globalOf(step: DatasetStep): Global {
  const { name } = step;
  switch (step.type) {
    case "nearDedup":
      return {
        type: "nearDedup",
        step: name,
        threshold: step.nearDedup?.threshold ?? 0.7,
        ngram: step.nearDedup?.ngram ?? 5,
      };
    case "sample":
      return { type: "sample", step: name, rows: step.sample!.rows, seed: step.sample!.seed };
    case "aggregate":
      return { type: "aggregate", step: name, ...step.aggregate! };
    default:
      return { type: "exactDedup", step: name };
  }
}
