import { code } from "./escape.ts";
import { count } from "./format.ts";
import { worstCases } from "./report/cases.ts";
import { costAndLatency } from "./report/cost.ts";
import { trainingData } from "./report/data.ts";
import { gates } from "./report/gates.ts";
import { headline } from "./report/headline.ts";
import { DETAILS, type Detail, type ReportInput } from "./report/input.ts";
import { whatMergingChanges } from "./report/merging.ts";
import { advisory, errors, method, notEvaluated, warnings } from "./report/notes.ts";

export type { ReportInput } from "./report/input.ts";

/** GitHub takes 65,536; the rest is room for the marker and for how forges count. */
const MAX_CHARACTERS = 60_000;

/** In the order of what a reviewer asks. */
const SECTIONS: readonly ((input: ReportInput, detail: Detail) => string)[] = [
  headline,
  errors,
  gates,
  worstCases,
  trainingData,
  notEvaluated,
  costAndLatency,
  whatMergingChanges,
  advisory,
  warnings,
  method,
];

/**
 * The comment of a pull request, in Markdown that both forges render; the most important comes first. What would
 * make it too long is shown in less detail, and in the end left out and said to be.
 */
export function renderReport(given: ReportInput): string {
  // Everywhere the suites that decide come first.
  const runs = given.runs.toSorted((a, b) => Number(b.planned.gating) - Number(a.planned.gating));
  const input = { ...given, runs };
  const limit = Math.min(input.limit, MAX_CHARACTERS);
  const end = footer(input);
  let sections: string[] = [];
  for (const detail of DETAILS) {
    sections = SECTIONS.map((section) => section(input, detail)).filter((section) => section !== "");
    const text = [...sections, end].join("\n\n");
    if (text.length <= limit) return text;
  }
  const note = "_The rest does not fit into one comment: `kubectl get evalruns` has it._";
  let room = limit - end.length - note.length - 8;
  const kept = sections.filter((section) => {
    room -= section.length + 2;
    if (room >= 0) return true;
    room += section.length + 2;
    return false;
  });
  return [...kept, note, end].join("\n\n").slice(0, limit);
}

function footer({ assessment, runs, plan, repository }: ReportInput): string {
  const calls = runs.flatMap(({ result }) => (result ? [result.calls] : []));
  const made = calls.reduce((sum, call) => sum + call.made, 0);
  const saved = calls.reduce((sum, call) => sum + call.saved, 0);
  const merged = assessment.head ? ", judged as merged" : "";
  const suites = plan.runs
    .slice(0, 5)
    .map(({ suite, bundle }) => `${suite} <code>${bundle.revision.slice(0, 12)}</code>`);
  const parts = [
    `base ${code(repository.spec.branch)} ${assessment.baseSha.slice(0, 8)}`,
    `head ${assessment.headSha.slice(0, 8)}${merged}`,
    ...(suites.length > 0 ? [`policy of the base: ${suites.join(", ")}`] : []),
    ...(calls.length > 0
      ? [`${count(made, "model call")} made, ${saved.toLocaleString("en")} saved by the cache`]
      : []),
  ];
  return `<sub>${parts.join(" · ")}</sub>`;
}
