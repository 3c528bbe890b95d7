import type { DatasetDiff, SideSummary } from "../../data/diff/types.ts";
import type { PrepareOutput } from "../../kinds/dataset/decide.ts";
import { type DataState, faultOf } from "../../pr/data/state.ts";

/** What others wrote must not steer the terminal. */
const safe = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
const number = (amount: number): string => amount.toLocaleString("en");

/** A prepared Dataset: where every row went. */
export function printPrepared(
  name: string,
  { artifact, fault, read, steps, splits, piiRows }: PrepareOutput,
): void {
  console.log(`${name}: ${number(read)} rows read`);
  for (const step of steps) {
    const changed = step.changed > 0 ? `, ${number(step.changed)} changed` : "";
    console.log(`  ${step.name}: ${number(step.dropped)} dropped${changed}`);
  }
  for (const split of splits) console.log(`  split ${split.name}: ${number(split.rows)} rows`);
  if (piiRows > 0) console.log(`  ${number(piiRows)} rows with personal data or keys`);
  if (fault) console.log(`  FAIL  ${fault.gate}: ${fault.message}`);
  else if (artifact) console.log(`  ${artifact.digest}`);
}

/** A compared Dataset, in the order of what a reviewer asks. */
export function printCompared(state: DataState): void {
  if (state.state === "Running") return;
  if (state.state === "NotCompared") {
    console.log(`${state.dataset}: not compared (${state.reason}): ${safe(state.message)}`);
    return;
  }
  const { base, head, rows, newPii, leakage } = state.diff;
  const fault = faultOf(head);
  console.log(`${state.dataset}: ${rows ? changes(rows) : base ? "cannot be compared row by row" : "new"}`);
  if (fault) console.log(`  FAIL  ${safe(fault.code)}: ${safe(fault.message)}`);
  const before = base && "summary" in base ? base.summary : undefined;
  if (head && "summary" in head) for (const line of figures(before, head.summary)) console.log(`  ${line}`);
  for (const { kind, rows: count, origins } of newPii)
    console.log(`  warning: ${kind} in ${number(count)} new rows: ${origins.map(safe).join(", ")}`);
  if (leakage && leakage.rows > 0) {
    const cases = leakage.cases.slice(0, 10).map(({ suite, id }) => safe(`${suite}/${id}`));
    console.log(
      `  warning: ${number(leakage.rows)} rows (${number(leakage.newRows)} new) share text with ${number(leakage.total)} cases: ${cases.join(", ")}`,
    );
  }
}

const changes = ({ added, removed, changed, same }: NonNullable<DatasetDiff["rows"]>) =>
  `${number(added)} rows added, ${number(removed)} removed, ${number(changed)} changed, ${number(same)} stay`;

function figures(before: SideSummary | undefined, after: SideSummary): string[] {
  const line = (title: string, from: number | undefined, to: number | undefined) =>
    `${title}: ${from === undefined ? "" : `${number(from)} -> `}${to === undefined ? "none" : number(to)}`;
  const ofStep = (name: string) => {
    const [from, to] = [before, after].map((side) => side?.steps.find((step) => step.name === name));
    const changed = (from?.changed ?? 0) + (to?.changed ?? 0) > 0;
    return [
      line(`dropped by ${safe(name)}`, from?.dropped, to?.dropped),
      ...(changed ? [line(`changed by ${safe(name)}`, from?.changed, to?.changed)] : []),
    ];
  };
  const names = new Set([...after.steps, ...(before?.steps ?? [])].map(({ name }) => name));
  return [
    line("rows read", before?.read, after.read),
    ...[...names].flatMap(ofStep),
    line("rows prepared", before?.rows, after.rows),
    line("tokens of one epoch, about", before?.tokens, after.tokens),
  ];
}
