import type { SideBundle } from "./bundle.ts";
import type { MeasuredCase, MeasuredTarget } from "./gates.ts";
import { SideTotals } from "./measure.ts";
import { type PreparedTarget, prepare } from "./observe.ts";
import type { CaseRow, SideResult, TargetResult } from "./result.ts";

/** A target on both sides, with what was found out so far; rows stand at their case's index. */
export interface Pair {
  readonly name: string;
  readonly base: PreparedTarget | undefined;
  readonly head: PreparedTarget | undefined;
  readonly totals: { readonly base: SideTotals; readonly head: SideTotals };
  readonly rows: (CaseRow | undefined)[];
  readonly measured: (MeasuredCase | undefined)[];
}

/** Sides are paired by the targets' names; a target may be on one side only. */
export function pairTargets(base: SideBundle | undefined, head: SideBundle): Pair[] {
  const names = new Set([...head.targets, ...(base?.targets ?? [])].map(({ name }) => name));
  return [...names].map((name) => ({
    name,
    base: prepared(base, name),
    head: prepared(head, name),
    totals: { base: new SideTotals(), head: new SideTotals() },
    rows: [],
    measured: [],
  }));
}

function prepared(side: SideBundle | undefined, name: string): PreparedTarget | undefined {
  const target = side?.targets.find((candidate) => candidate.name === name);
  return target && prepare(target);
}

export function toMeasured({ name, base, head, measured }: Pair): MeasuredTarget {
  return {
    name,
    hasBase: base !== undefined,
    hasHead: head !== undefined,
    cases: measured.filter((row) => row !== undefined),
  };
}

export function toTarget({ name, base, head, totals }: Pair): TargetResult {
  return {
    name,
    ...(base && { base: toSide(base, totals.base) }),
    ...(head && { head: toSide(head, totals.head) }),
  };
}

function toSide({ target }: PreparedTarget, totals: SideTotals): SideResult {
  const { prompt, model } = target;
  return {
    prompt: { name: prompt.name, revision: prompt.revision },
    model: { name: model.name, revision: model.revision },
    ...totals.result(),
  };
}
