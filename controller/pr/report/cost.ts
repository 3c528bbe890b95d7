import type { SideResult, TargetResult } from "../../eval/result.ts";
import { code } from "../escape.ts";
import { change, count, dollars, milliseconds } from "../format.ts";
import type { RunState } from "../standing.ts";
import type { Detail, ReportInput } from "./input.ts";
import { details, paragraphs, table } from "./markdown.ts";

/** What answers cost and how long they take, on both sides. What has no price is unknown, not free. */
export function costAndLatency({ runs }: ReportInput, detail: Detail): string {
  const entries = runs.flatMap((state) =>
    (state.result?.targets ?? [])
      .filter(({ base, head }) => (base?.cases ?? 0) + (head?.cases ?? 0) > 0)
      .map((target) => ({ state, target })),
  );
  if (entries.length === 0) return "";
  const named = entries.length > 1;
  const blocks = entries
    .slice(0, detail.open + detail.folded)
    .map(({ state, target }) => ofTarget(state, target, named));
  const [open, folded] = [blocks.slice(0, 2), blocks.slice(2)];
  return paragraphs(
    "### Cost and latency",
    ...open,
    details(count(folded.length, "more target"), folded.join("\n\n")),
    unpriced(entries.map(({ target }) => target)),
    pricedByHead(runs),
  );
}

function ofTarget({ planned }: RunState, { name, base, head }: TargetResult, named: boolean): string {
  const rows = [
    ["cost of 1,000 cases", ...compared(base, head, perThousand, dollars, "unknown")],
    ["latency, median", ...compared(base, head, (side) => side.latency?.p50, milliseconds)],
    ["latency, 95th percentile", ...compared(base, head, (side) => side.latency?.p95, milliseconds)],
    tokensRow(base, head),
  ];
  const title = named ? `${planned.suite} / ${name}` : " ";
  return table([title, ["base", ">"], ["head", ">"], ["change", ">"]], rows);
}

function compared(
  base: SideResult | undefined,
  head: SideResult | undefined,
  measure: (side: SideResult) => number | undefined,
  show: (amount: number) => string,
  unknown = "–",
): string[] {
  const [before, after] = [base && measure(base), head && measure(head)];
  const text = (side: SideResult | undefined, amount: number | undefined) =>
    side === undefined ? "–" : amount === undefined ? unknown : show(amount);
  const both = before !== undefined && after !== undefined;
  return [text(base, before), text(head, after), both ? change(before, after, show) : unknown];
}

const perThousand = ({ cost }: SideResult) => (cost.perCase === undefined ? undefined : cost.perCase * 1000);
const perCase =
  (kind: "prompt" | "completion") =>
  ({ tokens: sums, cases }: SideResult) =>
    cases === 0 || sums.prompt + sums.completion === 0 ? undefined : sums[kind] / cases;
/** Prompt and answer, the two that are paid for, in one row. */
function tokensRow(base: SideResult | undefined, head: SideResult | undefined): string[] {
  const prompt = compared(base, head, perCase("prompt"), tokens);
  const answer = compared(base, head, perCase("completion"), tokens);
  const cells = prompt.map((cell, at) =>
    cell === answer[at] && !/\d/.test(cell) ? cell : `${cell} + ${answer[at]}`,
  );
  return ["tokens a case, prompt + answer", ...cells.slice(0, 2), [prompt[2], answer[2]].join(", ")];
}

const tokens = (amount: number) => amount.toLocaleString("en", { maximumFractionDigits: 1 });

function unpriced(targets: readonly TargetResult[]): string {
  const names = new Set(
    targets.flatMap(({ base, head }) =>
      [base, head].flatMap((side) => (side && side.cost.unknown > 0 ? [side.model.name] : [])),
    ),
  );
  if (names.size === 0) return "";
  const shown = [...names].slice(0, 5).map((name) => code(`ModelDeployment/${name}`));
  return `<sub>A cost is unknown where an answer has no price: see ${code("spec.external.pricing")} of ${shown.join(", ")}.</sub>`;
}

/** A cap or a gate on the cost is worth what the price is worth. */
function pricedByHead(runs: readonly RunState[]): string {
  const names = [...new Set(runs.flatMap(({ planned }) => planned.headPrices ?? []))];
  if (names.length === 0) return "";
  const shown = names.slice(0, 5).map((name) => code(`ModelDeployment/${name}`));
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `<sub>**The price of ${shown.join(", ")}${more} comes from this pull request**, and limits on the cost count with it: check it against the provider's.</sub>`;
}
