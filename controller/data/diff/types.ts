import type { DatasetSpec } from "../../../schemas/dataset.ts";
import type { PiiKind } from "../../../schemas/dataset-steps.ts";
import type { DataFile } from "../block.ts";

/** Where the rows of one source come from: files of git or of the blob store, or a split of a Dataset prepared before. */
export type DiffSource = { readonly name: string } & (
  | { readonly files: readonly DataFile[] }
  | { readonly dataset: string; readonly split: string }
);

/** One Dataset as a commit has it. */
export interface DiffDataset {
  readonly name: string;
  readonly spec: DatasetSpec;
  readonly sources: readonly DiffSource[];
  /** Texts of the cases of each EvalSuite that its steps name. */
  readonly cases: ReadonlyMap<string, readonly string[]>;
}

/** A case and the words that it gives to a prompt. */
export interface CaseText {
  readonly suite: string;
  readonly id: string;
  readonly texts: readonly string[];
}

export interface DiffInput {
  /** The Dataset last, after those that it takes rows from; undefined where that side has none. */
  readonly base: readonly DiffDataset[] | undefined;
  readonly head: readonly DiffDataset[] | undefined;
  /** Cases that the head's rows must not share text with. */
  readonly cases: readonly CaseText[];
  /** Whether those who see the result may not see the rows. */
  readonly confidential?: boolean;
}

export interface StepSummary {
  readonly name: string;
  readonly dropped: number;
  readonly changed: number;
}

/** What one side comes to, in numbers. */
export interface SideSummary {
  readonly read: number;
  readonly rows: number;
  readonly splits: readonly { readonly name: string; readonly rows: number; readonly tokens: number }[];
  readonly steps: readonly StepSummary[];
  readonly words: number;
  /** A prediction: see `tokensOf`. */
  readonly tokens: number;
  /** How many rows have up to 1, 2, 4, 8… words. */
  readonly lengths: readonly { readonly upTo: number; readonly rows: number }[];
  /** Rows by label, or by answer where there are few different ones. Personal data is masked. */
  readonly labels?: readonly { readonly label: string; readonly rows: number }[];
  /** Rows in which each kind of personal data is found. */
  readonly pii: readonly { readonly kind: PiiKind; readonly rows: number }[];
  /** The gate that does not hold: merged, nothing would be published. */
  readonly fault?: { readonly gate: string; readonly message: string };
}

/** Why one side cannot be prepared, as the Dataset's condition would say it. */
export interface SideFailure {
  readonly code: string;
  readonly message: string;
}

export type Side = { readonly summary: SideSummary } | { readonly failure: SideFailure };

export interface RowChanges {
  readonly same: number;
  readonly added: number;
  readonly removed: number;
  /** Another answer to the same prompt, or nearly the same words. */
  readonly changed: number;
  /** False where there were too many rows to look for near-duplicates: then `changed` counts equal prompts alone. */
  readonly near: boolean;
}

/** What a change to a Dataset does to its rows. No text of a row is in it. */
export interface DatasetDiff {
  readonly base?: Side;
  readonly head?: Side;
  readonly rows?: RowChanges;
  /** Personal data in rows of the head that the base does not have. */
  readonly newPii: readonly {
    readonly kind: PiiKind;
    readonly rows: number;
    /** The first few: `tickets.jsonl:12`. */
    readonly origins: readonly string[];
  }[];
  readonly leakage?: Leakage;
  /** Nothing that rows say is in it, nor what their files are called: there are figures alone. */
  readonly confidential?: true;
}

export interface Leakage {
  /** Rows of the head that share text with a case. */
  readonly rows: number;
  /** Of those, rows that the base does not have. */
  readonly newRows: number;
  /** The cases with most rows first; `total` counts those that are left out too. */
  readonly cases: readonly { readonly suite: string; readonly id: string; readonly rows: number }[];
  readonly total: number;
  /** Cases that were not looked at, as there were too many. */
  readonly skipped: number;
}
