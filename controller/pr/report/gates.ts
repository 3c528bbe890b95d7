import type { GateOutcome } from "../../eval/result.ts";
import { code, plain } from "../escape.ts";
import { difference, distance, interval, value } from "../format.ts";
import { bySeverity, gatesOf, type RunState } from "../standing.ts";
import { gateSpec, limits } from "./headline.ts";
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

/** Kept on one line. */
const whole = (text: string) => text.replaceAll(" ", "\u00a0");

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
    several ? "suite and gate" : "gate",
    "verdict",
    ["base", ">"],
    ["head", ">"],
    ["change", ">"],
    "90 % interval",
    "allowed",
  ];
  const rows = entries.map((entry) => cells(entry, several));
  const failing = entries.filter(({ gate }) => !gate.passed).length;
  // A failing gate is never folded away before the others are.
  const open = Math.max(2 * detail.open, Math.min(failing, detail.folded));
  return paragraphs("### Gates", foldedTable(columns, rows, { open, folded: detail.folded }, "gate"));
}

function suiteCell({ state: { planned }, gate }: Entry): string {
  const target = planned.head.targets.length > 1 ? ` / ${gate.target}` : "";
  return `${whole(`**${planned.suite}**${target}`)}${planned.gating ? "" : " (advisory)"}<br>`;
}

function cells({ state, gate }: Entry, several: boolean): string[] {
  const spec = gateSpec(state, gate);
  const margin = spec?.margin === undefined ? [] : [`margin ${distance(gate.metric, spec.margin)}`];
  const bounds = limits(gate, spec);
  const [icon, words] = OUTCOMES[gate.outcome];
  const note =
    gate.outcome === "NotEvaluated" && gate.message ? `<br><sub>${plain(gate.message, 120)}</sub>` : "";
  const named = gate.name === gate.metric ? "" : several ? `${gate.name} ` : `${gate.name}<br>`;
  return [
    `${several ? suiteCell({ state, gate }) : ""}${named}${code(gate.metric)}`,
    gate.passed
      ? whole(`${icon} ${words}`) + note
      : `${gate.outcome === "Regressed" || gate.outcome === "NotMet" ? icon : `${icon} ❌`} **${words}**${note}`,
    whole(value(gate.metric, gate.base)),
    whole(value(gate.metric, gate.head)),
    whole(difference(gate.metric, gate.delta)),
    whole(interval(gate)).replace("…\u00a0", "… "),
    [...margin, ...(bounds === "" ? [] : [bounds])].map(whole).join("<br>") || "–",
  ];
}
