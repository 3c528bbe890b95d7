import type { Change } from "../../graph/impact.ts";
import { code } from "../escape.ts";
import { count } from "../format.ts";
import type { Detail, ReportInput } from "./input.ts";
import { foldedTable, paragraphs } from "./markdown.ts";

const ORDER = ["changed", "added", "removed", "settings"] as const;

/** What merging does to the cluster, and which suites look at it. */
export function whatMergingChanges(input: ReportInput, detail: Detail): string {
  const changes = [...(input.assessment.impact?.changes ?? [])].sort(
    (a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change),
  );
  if (changes.length === 0) return "";
  const rows = changes.map((change) => [
    code(change.key),
    effect(change, input),
    revisions(change),
    judges(change, input),
  ]);
  return paragraphs(
    "### What merging changes",
    foldedTable(
      ["object", "effect", "revision", "evaluated by"],
      rows,
      { open: 2 * detail.open, folded: detail.folded },
      "object",
    ),
  );
}

function effect({ key, change }: Change, { repository, assessment }: ReportInput): string {
  switch (change) {
    case "added":
      return "is created";
    case "removed":
      // What cannot be read is not known to be gone: it is neither applied nor deleted.
      if (assessment.head?.errors.some(({ object }) => object === key)) return "is invalid, stays as it is";
      if (assessment.head?.incomplete) return "cannot be found, stays as it is";
      return repository.spec.prune ? "**is deleted**" : "leaves git and stays in the cluster";
    case "changed":
      return "behaves differently";
    case "settings":
      return "only settings change";
  }
}

function revisions({ change, baseRevision, headRevision }: Change): string {
  const short = (revision: string | undefined) =>
    revision === undefined ? "–" : `<code>${revision.slice(0, 12)}</code>`;
  return change === "settings" ? short(headRevision) : `${short(baseRevision)} → ${short(headRevision)}`;
}

/** The suites that reach a changed object; that none does is worth knowing. */
function judges({ key, change }: Change, { assessment, plan }: ReportInput): string {
  if (change === "settings" || key.startsWith("EvalSuite/")) return "–";
  // Its rows are compared instead.
  if (key.startsWith("Dataset/")) return "–";
  const reaching = (assessment.impact?.suites ?? []).filter(({ via }) => via.includes(key));
  if (reaching.length === 0) return change === "removed" ? "–" : "**no suite**";
  const running = new Set(plan.runs.map(({ suite }) => suite));
  const skipped = new Set(plan.notEvaluated.map(({ suite }) => suite));
  const names = reaching
    .slice(0, 3)
    .map(({ suite }) => `${suite}${!running.has(suite) && skipped.has(suite) ? " (not run)" : ""}`);
  const more = reaching.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${count(more, "more suite")}` : ""}`;
}
