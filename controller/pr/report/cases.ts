import type { EvalCase } from "../../../schemas/eval-suite.ts";
import { type CaseRow, type CaseSide, caseKey } from "../../eval/result.ts";
import { code, plain } from "../escape.ts";
import { count } from "../format.ts";
import type { RunState } from "../standing.ts";
import { excerpts } from "./excerpt.ts";
import type { Detail, ReportInput } from "./input.ts";
import { details, foldedTable, paragraphs } from "./markdown.ts";

/** Base and head side by side: what got worst first, what got better folded away. */
export function worstCases({ runs }: ReportInput, detail: Detail): string {
  const withCases = runs.filter(({ result }) => (result?.cases.length ?? 0) > 0);
  const blocks = withCases
    .slice(0, detail.suites)
    .map((state) => ofSuite(state, detail, withCases.length > 1));
  const left = withCases.length - blocks.length;
  const body = paragraphs(
    ...blocks,
    left > 0 ? `_The cases of ${count(left, "more suite")} are left out here._` : "",
  );
  return body === "" ? "" : paragraphs("### Cases", body);
}

function ofSuite(state: RunState, detail: Detail, several: boolean): string {
  const { planned, result } = state;
  if (!result) return "";
  const { improved, regressed } = result.changes;
  const compared = result.cases.filter(({ base, head }) => base && head).length;
  const summary =
    compared === 0
      ? `${count(result.cases.length, "case")}, with no base to compare with.`
      : changed(regressed, improved, compared, result.worst.length);
  const rows = new Map(result.cases.map((row) => [caseKey(row), row]));
  const worst = result.worst.map((key) => rows.get(key)).filter((row) => row !== undefined);
  const worstKeys = new Set(result.worst);
  const better = result.cases
    .filter((row) => gain(row) > 0 && !worstKeys.has(caseKey(row)))
    .sort((a, b) => gain(b) - gain(a))
    .slice(0, detail.open);
  const show = (list: readonly CaseRow[]) => list.map((row) => caseCells(row, state, detail.text));
  const columns = ["case", "base", "head"];
  const open = several ? 3 : detail.open;
  return paragraphs(
    several ? `**${planned.suite}**: ${summary}` : summary,
    foldedTable(columns, show(worst), { open, folded: detail.folded }, "case", " that got worse"),
    better.length > 0
      ? details(
          `${better.length < improved ? `${better.length} of the ` : ""}${count(improved, "case")} that got better`,
          foldedTable(columns, show(better), { open: better.length, folded: 0 }, "case"),
        )
      : "",
  );
}

function changed(worse: number, better: number, compared: number, shown: number): string {
  const cases = count(compared, "case");
  if (worse > 0) {
    const gain = better > 0 ? `${better.toLocaleString("en")} got better` : "none got better";
    const rest = worse > shown ? ` The ${shown} worst:` : "";
    return `**${worse.toLocaleString("en")} of ${cases} got worse**, ${gain}.${rest}`;
  }
  const lower = shown > 0 ? "none fails more often, but some score lower" : "none got worse";
  return better > 0
    ? `${better.toLocaleString("en")} of ${cases} got better, ${lower}.`
    : `Of ${cases} none got better, ${lower}.`;
}

const gain = ({ base, head }: CaseRow) => (base && head ? head.passRate - base.passRate : 0);

function caseCells(row: CaseRow, { planned }: RunState, limit: number): string[] {
  const item = planned.bundle.cases.find(({ id }) => id === row.id);
  const target = planned.head.targets.length > 1 ? ` on ${code(row.target)}` : "";
  const [before, after] = excerpts(row.base?.output ?? "", row.head?.output ?? "", limit);
  const { repeats } = planned.bundle;
  return [
    [
      `${code(row.id, 60)}${target}${row.critical ? " **critical**" : ""}`,
      ...(item ? [plain(inputOf(item), limit)] : []),
      ...(item?.expected === undefined ? [] : [`expected ${code(textOf(item.expected), 120)}`]),
    ].join("<br>"),
    side(row.base, before, repeats, limit),
    side(row.head, after, repeats, limit) + reason(row.head, limit),
  ];
}

const inputOf = ({ vars }: EvalCase) => Object.values(vars).map(textOf).join(" · ");
const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function side(answer: CaseSide | undefined, excerpt: string, repeats: number, limit: number): string {
  if (!answer) return "–";
  const passed = Math.round(answer.passRate * repeats);
  const mark = `${answer.pass ? "✅" : "❌"}${passed > 0 && passed < repeats ? ` ${passed} of ${repeats}` : ""}`;
  if (answer.error) return `${mark} ${code(answer.error.code)} ${plain(answer.error.message, limit)}`;
  // A passing answer beyond what a result keeps has no output.
  const shown = answer.output === undefined ? "" : answer.output === "" ? "_empty_" : code(excerpt, limit);
  // The mark stays on the line of what it marks.
  return shown === "" ? mark : `${mark}\u00a0${shown}`;
}

/** Why the head's answer fails; that it should equal what is expected needs no words. */
function reason(answer: CaseSide | undefined, limit: number): string {
  const failed = answer?.pass === false ? (answer.failed ?? []).filter(({ type }) => type !== "equals") : [];
  const shown = failed
    .slice(0, 2)
    .map(({ type, reason: why }) => plain(`${type}: ${why}`, Math.min(limit, 140)));
  return shown.map((text) => `<br><sub>${text}</sub>`).join("");
}
