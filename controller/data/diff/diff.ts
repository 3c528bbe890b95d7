import { SlipwayError } from "../../errors.ts";
import { type Prepared, prepare, type SourceData } from "../prepare.ts";
import { lineOf } from "../row.ts";
import { compareRows } from "./compare.ts";
import { withoutText } from "./confidential.ts";
import { leakageOf } from "./leakage.ts";
import { piiOf, rowsOf, summaryOf } from "./profile.ts";
import type { DatasetDiff, DiffDataset, DiffInput, SideFailure } from "./types.ts";

interface Done {
  readonly prepared: Prepared;
  readonly last: DiffDataset;
}

/**
 * Prepares a Dataset as both commits have it, by the same steps as a real preparation, and compares what comes of it.
 * What makes one side fail (bad rows, a file that cannot be read) is in the result.
 */
export async function diffDataset(input: DiffInput): Promise<DatasetDiff> {
  const diff = await compared(input);
  return input.confidential ? withoutText(diff) : diff;
}

async function compared(input: DiffInput): Promise<DatasetDiff> {
  const base = input.base && (await prepareChain(input.base));
  const head = input.head && (await prepareChain(input.head));
  const result = {
    ...(base ? { base: sideOf(base) } : {}),
    ...(head ? { head: sideOf(head) } : {}),
  };
  if (!head || "code" in head) return { ...result, newPii: [] };
  const rows = rowsOf(head.prepared);
  const before = base && "prepared" in base ? rowsOf(base.prepared) : [];
  const known = new Set(before.map(({ row }) => lineOf(row)));
  const { changes, fresh } = compareRows(before, rows);
  return {
    ...result,
    // Against a side that cannot be prepared every row would count as new.
    ...(base && "prepared" in base ? { rows: changes } : {}),
    newPii: piiOf(fresh),
    leakage: leakageOf(rows, input.cases, ({ row }) => !known.has(lineOf(row))),
  };
}

function sideOf(side: Done | SideFailure) {
  return "code" in side ? { failure: side } : { summary: summaryOf(side.prepared, side.last.spec.gates) };
}

/** The last Dataset of the chain, each made of those before it. */
async function prepareChain(chain: readonly DiffDataset[]): Promise<Done | SideFailure> {
  const done = new Map<string, Prepared>();
  let last: Done | undefined;
  for (const dataset of chain) {
    try {
      const sources = dataset.sources.map((source) => contentOf(source, done));
      const prepared = await prepare(dataset.spec, sources, { cases: dataset.cases });
      done.set(dataset.name, prepared);
      last = { prepared, last: dataset };
    } catch (error) {
      // What may pass, or is the disk's fault, is no property of the commit, and must not be kept as one.
      if (!(error instanceof SlipwayError) || error.retryable || error.code === "DigestMismatch") throw error;
      const { code, message } = error;
      const own = dataset === chain.at(-1);
      return { code, message: own ? message : `Dataset ${dataset.name}: ${message}` };
    }
  }
  if (!last) throw new Error("a side without a Dataset");
  return last;
}

function contentOf(source: DiffDataset["sources"][number], done: ReadonlyMap<string, Prepared>): SourceData {
  if ("files" in source) return source;
  const { name, dataset, split } = source;
  const rows = done.get(dataset)?.splits.find((each) => each.name === split)?.rows;
  if (!rows) throw new SlipwayError("SplitNotFound", `Dataset ${dataset} has no split ${split}`);
  const text = rows.map(({ row }) => `${lineOf(row)}\n`).join("");
  return { name, files: [{ path: `${dataset}/${split}.jsonl`, data: new TextEncoder().encode(text) }] };
}
