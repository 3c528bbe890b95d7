import type { EvalCase } from "../../schemas/eval-suite.ts";
import type { Repository } from "../../schemas/repository.ts";
import { formatLocation } from "../errors.ts";
import type { CaseRow, CaseSide, GateReport, SideSummary } from "../eval/result.ts";
import type { Change } from "../graph/impact.ts";
import type { Assessment } from "./assess.ts";
import type { PullRequestVerdict, RunState } from "./decide.ts";
import { code, plain } from "./escape.ts";
import type { PullRequest } from "./forge/forge.ts";
import { count, difference, interval, milliseconds, value } from "./format.ts";
import type { EvaluationPlan } from "./plan.ts";

export interface ReportInput {
  readonly repository: Repository;
  readonly pull: PullRequest;
  readonly assessment: Assessment;
  readonly plan: EvaluationPlan;
  readonly runs: readonly RunState[];
  readonly verdict: PullRequestVerdict;
  /** Most characters of the comment. */
  readonly limit: number;
}

/** The comment of a pull request, in Markdown that both forges render. The most important comes first. */
export function renderReport(input: ReportInput): string {
  const sections = [
    headline(input),
    errors(input),
    gates(input.runs),
    worstCases(input.runs),
    notEvaluated(input.plan),
    costAndLatency(input.runs),
    changes(input),
    advisory(input),
  ].filter((section) => section !== "");
  const end = footer(input);
  let text = "";
  for (const section of sections) {
    if (text.length + section.length + end.length + 200 > input.limit) {
      text += "_The rest does not fit into one comment: see the EvalRun objects._\n\n";
      break;
    }
    text += `${section}\n\n`;
  }
  return `${text}${end}`;
}

const TITLES = {
  success: ["✅", "nothing gets worse"],
  failure: ["❌", "do not merge yet"],
  error: ["⚠️", "could not be evaluated"],
  pending: ["⏳", "evaluating"],
} as const;
const ALERTS = { success: "NOTE", failure: "CAUTION", error: "WARNING", pending: "NOTE" } as const;

function headline({ verdict, runs, assessment }: ReportInput): string {
  const [icon, words] = TITLES[verdict.state];
  const improved =
    verdict.state === "success" && runs.some((s) => s.result?.gates.some((g) => g.outcome === "Improved"));
  const evaluated = runs.length > 0 || verdict.state !== "success";
  const title = improved ? "this is an improvement" : evaluated ? words : "nothing to evaluate";
  const lines = [`## ${icon} Slipway: ${title}`, "", `> [!${ALERTS[verdict.state]}]`];
  const statements = runs.flatMap((state) =>
    (state.result?.gates ?? []).map((gate) => statement(state, gate)),
  );
  const said = statements.filter((text) => text !== undefined);
  for (const text of said.length > 0 ? said : [`${plain(verdict.summary, 400)}.`]) lines.push(`> ${text}  `);
  if (assessment.conflicts.length > 0) {
    lines.push(
      `> These files conflict with the base branch: ${assessment.conflicts
        .slice(0, 10)
        .map((f) => code(f))
        .join(", ")}  `,
    );
  }
  for (const { planned, result } of runs) {
    if (result?.verdict === "Error") lines.push(`> **${planned.suite}**: ${plain(result.message, 600)}  `);
  }
  return lines.join("\n");
}

/** One sentence a gate, in words. */
function statement({ planned }: RunState, gate: GateReport): string | undefined {
  const where = `**${planned.suite}**${planned.head.targets.length > 1 ? ` (${gate.target})` : ""}, ${plain(gate.metric)}`;
  const change = `${value(gate.metric, gate.base)} → ${value(gate.metric, gate.head)}`;
  const unit = gate.metric === "pass-rate" ? " points" : "";
  const sure = `90 % interval ${interval(gate)}${unit}`;
  switch (gate.outcome) {
    case "Improved":
      return `${where} improves: ${change} (${difference(gate.metric, gate.delta)}${unit}, ${sure}).`;
    case "Regressed":
      return `${where} **regresses**: ${change} (${difference(gate.metric, gate.delta)}${unit}, ${sure}).`;
    case "WithinMargin":
      return `${where} stays within its margin: ${change} (${sure}).`;
    case "Inconclusive":
      return `${where} is inconclusive: ${change} (${sure}). ${needed(gate)}`;
    case "NotMet":
      return `${where} is not met: ${gate.message ? plain(gate.message, 300) : change}.`;
    default:
      return undefined;
  }
}

function needed(gate: GateReport): string {
  const effect =
    gate.detectableEffect === undefined
      ? ""
      : `These cases can show ${difference(gate.metric, gate.detectableEffect).slice(1)}`;
  const cases = gate.casesNeeded === undefined ? "" : `; about ${gate.casesNeeded} would tell`;
  return effect === "" ? "" : `${effect}${gate.metric === "pass-rate" ? " points" : ""}${cases}.`;
}

function errors({ verdict }: ReportInput): string {
  if (verdict.newErrors.length === 0) return "";
  const rows = verdict.newErrors.slice(0, 20).map(({ location, message }) => {
    const field = location.field ? ` ${code(location.field)}` : "";
    return `- ${code(formatLocation(location))}${field}: ${plain(message, 400)}`;
  });
  const more = verdict.newErrors.length - rows.length;
  return ["### Errors in the manifests", "", ...rows, ...(more > 0 ? [`- and ${more} more`] : [])].join("\n");
}

const OUTCOMES = {
  Improved: "🟢 improved",
  WithinMargin: "🟢 within margin",
  Regressed: "🔴 regressed",
  Inconclusive: "🟡 inconclusive",
  Met: "🟢 met",
  NotMet: "🔴 not met",
  NotEvaluated: "⚪ not evaluated",
} as const;

function gates(runs: readonly RunState[]): string {
  const rows = runs.flatMap(({ planned, result }) =>
    (result?.gates ?? []).map((gate) => {
      const name = planned.gating ? planned.suite : `${planned.suite} (advisory)`;
      const spec = planned.bundle.gates.find((candidate) => candidate.name === gate.name);
      const demands = [
        ...(spec?.margin === undefined ? [] : [`±${value(gate.metric, spec.margin)}`]),
        ...(spec?.min === undefined ? [] : [`≥ ${value(gate.metric, spec.min)}`]),
        ...(spec?.max === undefined ? [] : [`≤ ${value(gate.metric, spec.max)}`]),
      ];
      const cells = [
        `${name} / ${plain(gate.target)}`,
        `${plain(gate.name)}: ${plain(gate.metric)}`,
        value(gate.metric, gate.base),
        value(gate.metric, gate.head),
        difference(gate.metric, gate.delta),
        interval(gate),
        demands.join(", ") || "–",
        `${OUTCOMES[gate.outcome]}${gate.passed ? "" : " **✗**"}`,
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  );
  if (rows.length === 0) return "";
  return [
    "### Gates",
    "",
    "| suite / target | gate | base | head | change | 90 % interval | demanded | verdict |",
    "|---|---|--:|--:|--:|:-:|:-:|---|",
    ...rows,
  ].join("\n");
}

/** Base and head side by side, what got worst first. */
function worstCases(runs: readonly RunState[]): string {
  const blocks = runs.flatMap(({ planned, result }) => {
    if (!result || result.worst.length === 0) return [];
    const rows = new Map(result.cases.map((row) => [`${row.target}/${row.id}`, row]));
    const cases = new Map(planned.bundle.cases.map((item) => [item.id, item]));
    const worst = result.worst.map((key) => rows.get(key)).filter((row) => row !== undefined);
    const summary = `${count(result.regressed, "case")} got worse, ${count(result.improved, "case")} got better of ${result.cases.length}`;
    return [
      `### Worst cases of ${planned.suite}: ${summary}`,
      "",
      "| case | input | expected | base | head |",
      "|---|---|---|---|---|",
      ...worst.map((row) => caseRow(row, cases.get(row.id))),
    ];
  });
  return blocks.join("\n");
}

function caseRow(row: CaseRow, item: EvalCase | undefined): string {
  const input = item
    ? Object.values(item.vars)
        .map((text) => (typeof text === "string" ? text : JSON.stringify(text)))
        .join(" · ")
    : "";
  const expected =
    item?.expected === undefined
      ? "–"
      : code(typeof item.expected === "string" ? item.expected : JSON.stringify(item.expected), 80);
  const name = `${code(row.id, 60)}${row.critical ? " **critical**" : ""}`;
  return `| ${name} | ${plain(input, 140)} | ${expected} | ${side(row.base)} | ${side(row.head)} |`;
}

function side(answer: CaseSide | undefined): string {
  if (!answer) return "–";
  const mark = answer.pass ? "✅" : "❌";
  if (answer.error) return `${mark} ${plain(`${answer.error.code}: ${answer.error.message}`, 120)}`;
  return `${mark} ${code(answer.output, 160)}`;
}

function notEvaluated(plan: EvaluationPlan): string {
  if (plan.notEvaluated.length === 0) return "";
  const rows = plan.notEvaluated.map(
    ({ suite, reason, message }) => `- **${suite}** (${reason}): ${plain(message, 500)}`,
  );
  return ["### Not evaluated", "", ...rows].join("\n");
}

function costAndLatency(runs: readonly RunState[]): string {
  const rows = runs.flatMap(({ planned, result }) =>
    (result?.targets ?? []).flatMap(({ name, base, head }) => [
      `| ${planned.suite} / ${plain(name)} | cost of the run | ${cost(base)} | ${cost(head)} |`,
      `| | latency p50 | ${latency(base, "p50")} | ${latency(head, "p50")} |`,
      `| | latency p95 | ${latency(base, "p95")} | ${latency(head, "p95")} |`,
      `| | tokens in / out | ${tokens(base)} | ${tokens(head)} |`,
    ]),
  );
  if (rows.length === 0) return "";
  return [
    "### Cost and latency",
    "",
    "| suite / target | | base | head |",
    "|---|---|--:|--:|",
    ...rows,
  ].join("\n");
}

const cost = (summary: SideSummary | undefined) =>
  summary === undefined
    ? "–"
    : summary.cost.total === undefined
      ? "unknown (no pricing)"
      : `$${summary.cost.total}`;
const latency = (summary: SideSummary | undefined, which: "p50" | "p95") =>
  summary?.latency === undefined ? "–" : milliseconds(summary.latency[which]);
const tokens = (summary: SideSummary | undefined) =>
  summary === undefined
    ? "–"
    : `${summary.tokens.prompt.toLocaleString("en")} / ${summary.tokens.completion.toLocaleString("en")}`;

const CHANGES = {
  added: "is created",
  removed: "is deleted",
  changed: "behaves differently",
  settings: "only settings change",
} as const;

/** What merging does to the cluster. */
function changes({ assessment }: ReportInput): string {
  const list = assessment.impact?.changes ?? [];
  if (list.length === 0) return "";
  const rows = list
    .slice(0, 50)
    .map((change) => `| ${code(change.key)} | ${CHANGES[change.change]} | ${revisions(change)} |`);
  const more = list.length > 50 ? [`| and ${list.length - 50} more | | |`] : [];
  return ["### What merging changes", "", "| object | | revision |", "|---|---|---|", ...rows, ...more].join(
    "\n",
  );
}

function revisions({ change, baseRevision, headRevision }: Change): string {
  const short = (revision: string | undefined) =>
    revision === undefined ? "–" : `<code>${revision.slice(0, 12)}</code>`;
  return change === "settings" ? short(headRevision) : `${short(baseRevision)} → ${short(headRevision)}`;
}

function advisory({ assessment }: ReportInput): string {
  const edits = assessment.impact?.suiteEdits ?? [];
  if (edits.length === 0) return "";
  const names = edits.map(({ key }) => code(key)).join(", ");
  return [
    "### Advisory",
    "",
    `This pull request edits ${names}. The suites of the base branch judged it: edits to cases, graders, gates and budgets count once they are merged.`,
  ].join("\n");
}

function footer({ assessment, runs, plan, repository }: ReportInput): string {
  const made = runs.reduce((sum, { result }) => sum + (result?.calls.made ?? 0), 0);
  const saved = runs.reduce((sum, { result }) => sum + (result?.calls.saved ?? 0), 0);
  const suites = plan.runs.map(({ bundle }) => `${bundle.name}@${bundle.revision.slice(0, 12)}`);
  const parts = [
    `base ${repository.spec.branch}@${assessment.baseSha.slice(0, 8)}`,
    `head ${assessment.headSha.slice(0, 8)}, judged as merged`,
    ...(suites.length > 0 ? [`suites ${suites.join(", ")}`] : []),
    `${count(made, "model call")} made, ${saved} saved by the cache`,
    ...(runs.length > 0 ? [`runs ${runs.map(({ name }) => name).join(", ")}`] : []),
  ];
  return `<sub>${parts.join(" · ")}</sub>`;
}
