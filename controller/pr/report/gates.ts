import type { GateOutcome } from "../../eval/result.ts";
import { code } from "../escape.ts";
import { difference, distance, interval, value } from "../format.ts";
import { bySeverity, gatesOf, type RunState } from "../standing.ts";
import { limits } from "./headline.ts";
import type { Detail, ReportInput } from "./input.ts";
import { type Column, foldedTable, paragraphs } from "./markdown.ts";

const OUTCOMES: Readonly<Record<GateOutcome["outcome"], readonly [icon: string, words: string]>> = {
  Improved: ["🟢", "improved"],
  WithinMargin: ["🟢", "within margin"],
  Met: ["🟢", "kept"],
  Regressed: ["🔴", "regressed"],
  NotMet: ["🔴", "not kept"],
  Inconclusive: ["🟡", "inconclusive"],
  NotEvaluated: ["⚪", "not judged"],
};

interface Entry {
  readonly state: RunState;
  readonly gate: GateOutcome;
}

/** Every gate with base, head and interval; what fails first. */
export function gates({ runs }: ReportInput, detail: Detail): string {
  const entries = runs
    .flatMap((state) => gatesOf(state).map((gate): Entry => ({ state, gate })))
    .sort(
      (a, b) => Number(b.state.planned.gating) - Number(a.state.planned.gating) || bySeverity(a.gate, b.gate),
    );
  if (entries.length === 0) return "";
  const several = runs.length > 1 || runs.some(({ planned }) => planned.head.targets.length > 1);
  const columns: Column[] = [
    ...(several ? ["suite"] : []),
    "gate",
    ["base", ">"],
    ["head", ">"],
    ["change", ">"],
    "90 % interval",
    "allowed",
    "verdict",
  ];
  const rows = entries.map((entry) => [...(several ? [suiteCell(entry)] : []), ...cells(entry)]);
  const failing = entries.filter(({ gate }) => !gate.passed).length;
  // A failing gate is never folded away before the others are.
  const open = Math.max(2 * detail.open, Math.min(failing, detail.folded));
  return paragraphs("### Gates", foldedTable(columns, rows, { open, folded: detail.folded }, "gates"));
}

function suiteCell({ state: { planned }, gate }: Entry): string {
  const target = planned.head.targets.length > 1 ? ` / ${gate.target}` : "";
  return `${planned.suite}${target}${planned.gating ? "" : "<br><sub>advisory</sub>"}`;
}

function cells({ state, gate }: Entry): string[] {
  const spec = state.planned.bundle.gates.find(({ name }) => name === gate.name);
  const margin = spec?.margin === undefined ? [] : [`margin ${distance(gate.metric, spec.margin)}`];
  const bounds = limits(gate, spec);
  const [icon, words] = OUTCOMES[gate.outcome];
  const named = gate.name === gate.metric ? "" : `${gate.name}<br>`;
  return [
    `${named}${code(gate.metric)}`,
    value(gate.metric, gate.base),
    value(gate.metric, gate.head),
    difference(gate.metric, gate.delta),
    interval(gate),
    [...margin, ...(bounds === "" ? [] : [bounds])].join(", ") || "–",
    gate.passed
      ? `${icon} ${words}`
      : `${gate.outcome === "Regressed" || gate.outcome === "NotMet" ? icon : `${icon} ❌`} **${words}**`,
  ];
}
