import type { DatasetDiff } from "../../data/diff/types.ts";

/** Why the rows of a Dataset that the change touches are not compared. */
export type NotComparedReason =
  | "Fork"
  | "Outside"
  | "OtherRepository"
  | "Cycle"
  | "TooMany"
  | "DiffTooLarge"
  | "DiffTimedOut"
  | "DiffFailed";

export interface NotCompared {
  readonly state: "NotCompared";
  readonly reason: NotComparedReason;
  readonly message: string;
}

/** A Dataset that a pull request touches, and how far the comparison of its rows is. */
export type DataState = { readonly dataset: string } & (
  | { readonly state: "Running" }
  | { readonly state: "Compared"; readonly diff: DatasetDiff }
  | NotCompared
);

/**
 * What merging would break: the head's rows cannot be prepared, or a gate of the Dataset does not hold, and the base
 * does not have that already.
 */
export function newFault(state: DataState): { code: string; message: string } | undefined {
  if (state.state !== "Compared") return undefined;
  const { base, head } = state.diff;
  const fault = faultOf(head);
  return fault && fault.code !== faultOf(base)?.code ? fault : undefined;
}

export function faultOf(side: DatasetDiff["head"]): { code: string; message: string } | undefined {
  if (!side) return undefined;
  if ("failure" in side) return side.failure;
  const { fault } = side.summary;
  return fault && { code: `GateFailed ${fault.gate}`, message: fault.message };
}
