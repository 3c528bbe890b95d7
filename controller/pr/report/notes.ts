import { formatLocation } from "../../errors.ts";
import type { LoadError } from "../../gitops/manifest.ts";
import { newWarnings } from "../decide.ts";
import { code, plain } from "../escape.ts";
import { count } from "../format.ts";
import { gatesOf, type RunState } from "../standing.ts";
import type { Detail, ReportInput } from "./input.ts";
import { details, paragraphs } from "./markdown.ts";

export function errors({ verdict }: ReportInput, detail: Detail): string {
  if (verdict.newErrors.length === 0) return "";
  return paragraphs("### Errors in the manifests", findings(verdict.newErrors, 4 * detail.open));
}

export function warnings({ assessment }: ReportInput, detail: Detail): string {
  const found = newWarnings(assessment);
  return details(count(found.length, "new warning"), findings(found, 4 * detail.open));
}

function findings(list: readonly LoadError[], limit: number): string {
  const rows = list.slice(0, limit).map(({ location, message }) => {
    const { field: name } = location;
    const field = name === undefined || message.includes(name) ? "" : ` ${code(name)}`;
    return `- ${code(formatLocation(location))}${field}: ${plain(message, 400)}`;
  });
  const left = list.length - rows.length;
  return [...rows, ...(left > 0 ? [`- and ${left} more`] : [])].join("\n");
}

/** What the change touches and was not run, and why. */
export function notEvaluated({ plan, verdict }: ReportInput, detail: Detail): string {
  const list = plan.notEvaluated.filter(
    ({ reason, gating }) => !(verdict.reason === "AwaitingApproval" && reason === "Fork" && gating),
  );
  if (list.length === 0) return "";
  const rows = list.slice(0, 2 * detail.open).map(({ suite, gating, reason, message }) => {
    return `- **${suite}**${gating ? "" : " (advisory)"}, ${code(reason)}: ${plain(message, 500)}.`;
  });
  const left = list.length - rows.length;
  return paragraphs(
    "### Not evaluated",
    [...rows, ...(left > 0 ? [`- and ${count(left, "more suite")}`] : [])].join("\n"),
  );
}

/** The pull request may not judge itself: say so where it tries. */
export function advisory({ assessment, repository }: ReportInput): string {
  const edits = assessment.impact?.suiteEdits ?? [];
  if (edits.length === 0) return "";
  const names = edits.slice(0, 5).map(({ key }) => code(key));
  const more = edits.length > 5 ? ` and ${edits.length - 5} more` : "";
  return paragraphs(
    "### Edits to suites",
    `This changes ${names.join(", ")}${more}. The suites as they are on ${code(repository.spec.branch)} judged it: new cases, graders, gates and budgets count once they are merged.`,
  );
}

/** What a statistician asks next. */
export function method({ runs }: ReportInput, detail: Detail): string {
  const blocks = runs
    .filter(({ result }) => result !== undefined)
    .slice(0, detail.suites)
    .map((state) => ofRun(state, detail));
  return details(
    "How this was judged",
    paragraphs(
      runs.every((state) => gatesOf(state).length === 0)
        ? ""
        : "Base and head answer the same cases, interleaved, and are compared case by case. Each gate is the 90 % interval of head minus base: above minus the margin it is within margin, wholly above 0 improved; else wholly below 0 regressed, else inconclusive (for latency and cost the other way round). Claims of a regression stand Holm's correction.",
      blocks.join("\n"),
    ),
  );
}

function ofRun({ planned, name, run, result }: RunState, detail: Detail): string {
  if (!result) return "";
  const { bundle } = planned;
  const spent = result.spent.total === undefined ? "cost unknown" : `${result.spent.total} USD`;
  const methods = new Set(gatesOf({ run, result }).flatMap(({ method: used }) => used ?? []));
  const facts = [
    `EvalRun ${code(name)}`,
    `suite revision <code>${bundle.revision.slice(0, 12)}</code>`,
    `${count(bundle.cases.length, "case")}${bundle.repeats > 1 ? ` × ${bundle.repeats} repeats` : ""}`,
    ...(methods.size > 0 ? [[...methods].join(", ")] : []),
    ...(bundle.judge
      ? [`judge ${code(bundle.judge.name)} <code>${bundle.judge.revision.slice(0, 12)}</code>`]
      : []),
    `seed ${result.seed}`,
    `${count(result.calls.made, "call")} made, ${result.calls.saved.toLocaleString("en")} saved, ${result.calls.retried.toLocaleString("en")} repeated`,
    spent,
  ];
  const failures = Object.entries(result.errors)
    .slice(0, detail.open)
    .map(([reason, { count: times, message }]) => `  - ${times} × ${code(reason)}: ${plain(message, 200)}`);
  return [`- **${planned.suite}**: ${facts.join(" · ")}`, ...failures].join("\n");
}
