import type { DatasetSpec } from "../../schemas/dataset.ts";
import type { PrepareSummary } from "./publish.ts";

const BAR = 30;

/** A dataset card as the Hugging Face Hub reads it: YAML at its head, then what was done and what came of it. */
export function datasetCard(
  name: string,
  spec: DatasetSpec,
  { read, steps, splits, piiRows, words, lengths }: PrepareSummary,
): string {
  const rows = splits.reduce((sum, split) => sum + split.rows, 0);
  const most = Math.max(1, ...lengths.map((each) => each.rows));
  const head = [
    "---",
    `pretty_name: ${JSON.stringify(name)}`,
    ...(spec.license === undefined ? [] : [`license: ${JSON.stringify(spec.license.toLowerCase())}`]),
    "configs:",
    "- config_name: default",
    "  data_files:",
    ...splits.flatMap((split) => [`  - split: ${split.name}`, `    path: ${split.name}.jsonl`]),
    "---",
  ];
  const table = [
    "| step | rows in | dropped | changed |",
    "|---|---:|---:|---:|",
    ...steps.map((step) => `| ${step.name} | ${step.rows} | ${step.dropped} | ${step.changed} |`),
  ];
  return [
    ...head,
    "",
    `# ${name}`,
    "",
    ...(spec.description === undefined ? [] : [spec.description, ""]),
    `${rows} rows of ${read} read; format ${spec.format}; ${words} words; ${piiRows} rows with personal data or keys.`,
    "",
    "## Splits",
    "",
    ...splits.map((split) => `- ${split.name}: ${split.rows} rows`),
    "",
    "## Steps",
    "",
    ...(steps.length > 0 ? table : ["None: the rows are as they were read."]),
    "",
    ...droppedRows(steps),
    "## Words per row",
    "",
    "```",
    ...lengths.map((each) => {
      const bar = "#".repeat(Math.max(1, Math.round((each.rows / most) * BAR)));
      return `up to ${String(each.upTo).padStart(6)}  ${bar.padEnd(BAR)} ${each.rows}`;
    }),
    "```",
    "",
  ].join("\n");
}

/** Where the first rows stood that each step dropped, and why; never what they say. */
function droppedRows(steps: PrepareSummary["steps"]): string[] {
  const samples = steps.flatMap((step) => step.samples.map((sample) => ({ ...sample, step: step.name })));
  if (samples.length === 0) return [];
  const lines = samples.map(({ step, origin, reason }) => `- ${step}: ${code(origin)}, ${code(reason)}`);
  return ["## Dropped rows", "", "The first of each step:", "", ...lines, ""];
}

/** As code, out of which nothing breaks: names of files and reasons come from outside. */
const code = (text: string): string => `\`${text.replace(/[`\p{Cc}\p{Cf}]/gu, "?")}\``;
