import type { DatasetDiff, SideSummary, StepSummary } from "../../data/diff/types.ts";
import type { Assessment } from "../assess.ts";
import { type DataState, faultOf } from "../data/state.ts";
import { type PredictedTraining, trainingsOf } from "../data/trainings.ts";
import { code, plain } from "../escape.ts";
import { change, count, dollars } from "../format.ts";
import { okToTest } from "../ok-to-test.ts";
import { distributions } from "./data-distributions.ts";
import type { Detail, ReportInput } from "./input.ts";
import { details, paragraphs, table } from "./markdown.ts";

/** What the change does to the rows that models are trained on. No text of a row is in it. */
export function trainingData(input: ReportInput, detail: Detail): string {
  const { data } = input;
  if (data.length === 0) return "";
  const blocks = data.map((state) => ofDataset(state, input, detail));
  const [open, folded] = [blocks.slice(0, detail.open), blocks.slice(detail.open)];
  return paragraphs(
    "### Training data",
    ...open,
    details(count(folded.length, "more Dataset"), folded.join("\n\n")),
  );
}

function ofDataset(state: DataState, { pull, assessment }: ReportInput, detail: Detail): string {
  const name = code(`Dataset/${state.dataset}`);
  switch (state.state) {
    case "Running":
      return `${name} is being compared. This comment is updated when it is done.`;
    case "NotCompared": {
      const how =
        state.reason === "Fork"
          ? ` Somebody with write access lets them be compared with the comment ${code(okToTest(pull.headSha))}.`
          : "";
      return `${name}: its rows were not compared (${code(state.reason)}): ${plain(state.message, 400)}.${how}`;
    }
    case "Compared":
      return paragraphs(
        `${name}: ${inWords(state.diff)}`,
        state.diff.confidential ? CONFIDENTIAL : "",
        warnings(state.diff).join("\n"),
        numbers(state.diff),
        predicted(state.dataset, state.diff, assessment),
        distributions(state.diff, detail),
      );
  }
}

const CONFIDENTIAL =
  "Its rows are read with a Secret: figures are shown, answers and places of rows are not.";

/** One sentence, or why there is none. */
function inWords({ base, head, rows }: DatasetDiff): string {
  const fault = faultOf(head);
  if (head && "failure" in head && fault) {
    const before = faultOf(base)?.code === fault.code ? ", as on the base" : "";
    return `**its rows cannot be prepared**${before} (${code(fault.code)}): ${plain(fault.message, 600)}`;
  }
  const left = head && "summary" in head ? head.summary.rows : 0;
  if (!rows) {
    const why = base ? `; the base's rows cannot be prepared (${code(faultOf(base)?.code ?? "")})` : "";
    return `${base ? "" : "new, "}${count(left, "row")}${why}.`;
  }
  const { added, removed, changed, same, near } = rows;
  const how = near
    ? "the same question, or nearly the same words"
    : "the same question; too many rows to look for similar ones";
  return `**${count(added, "row")} added, ${removed.toLocaleString("en")} removed, ${changed.toLocaleString("en")} changed** (${how}), ${same.toLocaleString("en")} stay.`;
}

/** What a reviewer must not overlook. */
function warnings({ base, head, newPii, leakage }: DatasetDiff): string[] {
  const lines: string[] = [];
  const gate = head && "summary" in head ? head.summary.fault : undefined;
  if (gate) {
    const before = faultOf(base)?.code === `GateFailed ${gate.gate}` ? ", as on the base" : "";
    lines.push(
      `- ❌ its gate ${code(gate.gate)} does not hold${before}: ${plain(gate.message, 200)}. Merged, nothing new is published.`,
    );
  }
  for (const { kind, rows, origins } of newPii) {
    const more = rows > origins.length ? " and more" : "";
    const where = origins.map((origin) => code(origin, 120)).join(", ");
    const at = origins.length > 0 ? `: ${where}${more}` : "";
    lines.push(`- ⚠️ ${count(rows, "new row")} with ${PII_WORDS[kind]}${at}.`);
  }
  if (leakage && leakage.rows > 0) {
    const named = leakage.cases
      .slice(0, 10)
      .map(({ suite, id, rows }) => `${code(`${suite}/${id}`, 120)} (${rows})`);
    const more = leakage.total - named.length;
    lines.push(
      `- ⚠️ ${count(leakage.rows, "row")} (${leakage.newRows.toLocaleString("en")} new) ${leakage.rows === 1 ? "shares" : "share"} text with cases: ${named.join(", ")}${more > 0 ? ` and ${count(more, "more case")}` : ""}. A model trained on them is judged by what it has seen.`,
    );
  }
  if (leakage && leakage.skipped > 0)
    lines.push(`- ${count(leakage.skipped, "case")} were not looked for in the rows: there are too many.`);
  return lines;
}

const PII_WORDS: Readonly<Record<DatasetDiff["newPii"][number]["kind"], string>> = {
  email: "an e-mail address",
  phone: "a telephone number",
  iban: "a bank account",
  card: "a card number",
  ip: "an IP address",
  key: "a key or token",
};

/** Rows at each stage, and what training on them takes. */
function numbers({ base, head }: DatasetDiff): string {
  const before = base && "summary" in base ? base.summary : undefined;
  const after = head && "summary" in head ? head.summary : undefined;
  if (!after) return "";
  const rows = [
    line("rows read", before?.read, after.read),
    ...stepsOf(before, after).flatMap((name) => ofStep(name, stepOf(before, name), stepOf(after, name))),
    line("rows prepared", before?.rows, after.rows),
    ...splitsOf(before, after),
    line("tokens of one epoch, about", before?.tokens, after.tokens),
  ];
  return table([" ", ["base", ">"], ["head", ">"], ["change", ">"]], rows);
}

/** What training on it takes, for each FineTuneJob that would. */
function predicted(
  dataset: string,
  { base, head }: DatasetDiff,
  { base: from, head: to }: Assessment,
): string {
  if (!to || !head || !("summary" in head)) return "";
  const before =
    base && "summary" in base ? trainingsOf(dataset, base.summary, from.graph) : ([] as PredictedTraining[]);
  const lines = trainingsOf(dataset, head.summary, to.graph).map(({ job, rows, steps, tokens, cost }) => {
    const former = before.find((each) => each.job === job);
    const was = (amount: number | undefined) => (amount === undefined ? "" : ` (${show(amount)} before)`);
    return `- ${code(`FineTuneJob/${job}`)} would learn ${count(rows, "row")} in ${count(steps, "step")}${was(former?.steps)}, about ${show(tokens)} tokens${was(former?.tokens)}; ${cost === undefined ? "its cost is unknown" : `about ${dollars(cost)}`}.`;
  });
  return lines.slice(0, 10).join("\n");
}

const stepOf = (side: SideSummary | undefined, name: string) =>
  side?.steps.find((step) => step.name === name);

/** Steps of either side, in the head's order. */
const stepsOf = (before: SideSummary | undefined, after: SideSummary): string[] => [
  ...new Set([...after.steps, ...(before?.steps ?? [])].map(({ name }) => name)),
];

/** What a step did to the rows. One that came or went is shown whatever it did. */
function ofStep(name: string, before: StepSummary | undefined, after: StepSummary | undefined): string[][] {
  const did = (what: "dropped" | "changed") => (before?.[what] ?? 0) + (after?.[what] ?? 0) > 0;
  const row = (what: "dropped" | "changed", title: string = what) =>
    line(`${title} by ${code(name, 63)}`, before?.[what], after?.[what]);
  const done = (["dropped", "changed"] as const).filter(did).map((what) => row(what));
  return done.length > 0 || (before && after) ? done : [row("dropped", "dropped or changed")];
}

function splitsOf(before: SideSummary | undefined, after: SideSummary): string[][] {
  if (after.splits.length < 2 && (before?.splits.length ?? 0) < 2) return [];
  const names = new Set([...after.splits, ...(before?.splits ?? [])].map(({ name }) => name));
  const rowsOf = (side: SideSummary | undefined, name: string) =>
    side?.splits.find((split) => split.name === name)?.rows;
  return [...names].map((name) =>
    line(`in split ${code(name, 63)}`, rowsOf(before, name), rowsOf(after, name)),
  );
}

const show = (amount: number) => Math.round(amount).toLocaleString("en");

function line(title: string, before: number | undefined, after: number | undefined): string[] {
  const text = (amount: number | undefined) => (amount === undefined ? "–" : show(amount));
  const both = before !== undefined && after !== undefined;
  return [title, text(before), text(after), both ? change(before, after, show) : "–"];
}
