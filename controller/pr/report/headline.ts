import type { Gate } from "../../../schemas/eval-suite.ts";
import { DEFAULT_GATE } from "../../eval/gates.ts";
import type { GateOutcome } from "../../eval/result.ts";
import { code, plain } from "../escape.ts";
import { count, distance, interval, points, value } from "../format.ts";
import { okToTest } from "../ok-to-test.ts";
import { bySeverity, gatesOf, type RunState, standingOf, troubleOf } from "../standing.ts";
import type { Detail, ReportInput } from "./input.ts";
import { alert, paragraphs } from "./markdown.ts";
import { inWords } from "./trouble.ts";

/** The verdict in a title and the reasons for it, a sentence each. */
export function headline(input: ReportInput, { statements: limit }: Detail): string {
  const [icon, title, kind] = titleOf(input);
  const said = statements(input);
  const lines = said.length > 0 ? said.slice(0, limit) : [`${plain(capital(input.verdict.summary), 300)}.`];
  if (said.length > limit) lines.push(`and ${said.length - limit} more, see below.`);
  return paragraphs(`## ${icon} Slipway: ${title}`, alert(kind, lines));
}

type Title = readonly [icon: string, words: string, alert: Parameters<typeof alert>[0]];

function titleOf({ verdict, runs, repository }: ReportInput): Title {
  const gating = runs.filter(({ planned }) => planned.gating);
  switch (verdict.reason) {
    case "Conflict":
      return ["❌", `this conflicts with ${code(repository.spec.branch)}`, "CAUTION"];
    case "InvalidManifests":
      return ["❌", "the manifests have errors", "CAUTION"];
    case "NothingChanges":
      return ["✅", "nothing to evaluate", "NOTE"];
    case "SettingsOnly":
      return ["✅", "only settings change", "NOTE"];
    case "NotCovered":
      return ["⚪", "no required suite covers this change", "NOTE"];
    case "Running":
      return ["⏳", "evaluating", "NOTE"];
    case "AwaitingApproval":
      return ["✋", "waiting for approval", "IMPORTANT"];
    case "Error":
      return ["⚠️", "could not be evaluated", "WARNING"];
    case "NotEvaluated":
      return verdict.state === "failure"
        ? ["❌", "not everything was evaluated", "CAUTION"]
        : ["⚪", "not evaluated", "WARNING"];
    case "DataFault":
      return ["❌", "the training data cannot be used", "CAUTION"];
    case "DataCompared":
      return ["✅", "training data changes", "NOTE"];
    case "Inconclusive":
      return ["🟡", "the cases cannot tell", "WARNING"];
    case "Failed":
      return ["❌", failure(gating), "CAUTION"];
    case "Passed": {
      const outcomes = gating.flatMap((state) => gatesOf(state).map(({ outcome }) => outcome));
      if (outcomes.includes("Improved")) return ["✅", "this is an improvement", "TIP"];
      if (outcomes.includes("WithinMargin"))
        return ["✅", "nothing gets worse by more than is allowed", "TIP"];
      return ["✅", outcomes.includes("Met") ? "all gates hold" : "passed, with nothing to compare", "TIP"];
    }
  }
}

function failure(gating: readonly RunState[]): string {
  const failed = gating.filter((state) => standingOf(state) === "Failed");
  const outcomes = failed.flatMap((state) =>
    gatesOf(state)
      .filter(({ passed }) => !passed)
      .map(({ outcome }) => outcome),
  );
  if (outcomes.includes("Regressed"))
    return failed.length === 1 ? `${failed[0]?.planned.suite} gets worse` : `${failed.length} suites fail`;
  if (failed.some(({ result }) => (result?.critical.length ?? 0) > 0)) return "a critical case fails";
  if (outcomes.includes("NotMet")) return "a limit is not kept";
  if (outcomes.includes("Inconclusive")) return "not shown to be good enough";
  return "a gate fails";
}

/** Gating suites first, and in each what is worst first. */
function statements(input: ReportInput): string[] {
  const { assessment, verdict, runs, plan, repository } = input;
  if (verdict.reason === "Conflict") {
    const files = assessment.conflicts.slice(0, 10).map((file) => code(file, 120));
    const more = assessment.conflicts.length - files.length;
    return [
      `Merging into ${code(repository.spec.branch)} conflicts in ${files.join(", ")}${more > 0 ? ` and ${more} more` : ""}. Solve the conflict and push: it is evaluated then.`,
    ];
  }
  const said: string[] = [];
  if (verdict.reason === "InvalidManifests")
    said.push(
      `${capital(verdict.summary)}, see below. Nothing broken is applied, so mend them before merging.`,
    );
  if (verdict.reason === "DataFault")
    said.push(`${plain(verdict.summary, 300)}. Merged, nothing new would be published, see below.`);
  if (verdict.reason === "AwaitingApproval") {
    const suites = plan.notEvaluated.filter(({ reason }) => reason === "Fork").map(({ suite }) => suite);
    said.push(
      `This comes from a fork, so nothing was sent to a model yet. To evaluate ${suites.slice(0, 5).join(", ")}${suites.length > 5 ? ` and ${suites.length - 5} more` : ""}, somebody with write access comments ${code(okToTest(assessment.headSha))} on a line of its own. The next push voids it.`,
    );
  }
  if (verdict.reason === "NotEvaluated") {
    const policy = verdict.state === "failure" ? "makes that a failure" : "lets that pass";
    said.push(`${plain(verdict.summary)}, see below. The Repository's ${code("onNotEvaluated")} ${policy}.`);
  }
  return [...said, ...runs.flatMap(runStatements)];
}

function runStatements(state: RunState): string[] {
  const { planned, name, result } = state;
  const suite = `**${planned.suite}**${planned.gating ? "" : " (advisory)"}`;
  const standing = standingOf(state);
  if (standing === "Running")
    return [`${suite} is being evaluated. This comment is updated when the answers are in.`];
  if (standing === "Error") {
    const { reason, message } = troubleOf(state);
    return [
      `${suite} could not be evaluated: ${inWords(reason)} (${code(reason)}: ${plain(message, 400)}). No verdict was drawn. To try again, set the annotation ${code("slipway.dev/requestedAt")} on EvalRun ${code(name)}.`,
    ];
  }
  const several = planned.head.targets.length > 1;
  const critical = (result?.critical ?? []).slice(0, 5).map(({ id, target, alsoOnBase }) => {
    const where = several ? `${suite} on ${code(target)}` : suite;
    const always = planned.bundle.repeats > 1 ? " in every repeat" : "";
    return `${where}: the critical case ${code(id, 80)} **fails**${always}${alsoOnBase ? ", as on the base" : ""}.`;
  });
  const gates = [...gatesOf(state)].sort(bySeverity);
  const telling = gates.filter(
    ({ outcome, passed }) => !passed || (outcome !== "Met" && outcome !== "NotEvaluated"),
  );
  const sentences = telling.map((gate) =>
    sentence(state, gate, several ? `${suite} on ${code(gate.target)}` : suite),
  );
  const failing = telling.filter(({ passed }) => !passed).length;
  const said = [...sentences.slice(0, failing), ...critical, ...sentences.slice(failing)];
  if (said.length > 0) return said;
  return gates.length > 0
    ? [`${suite}: ${gates.length === 1 ? "its gate holds" : `all ${gates.length} gates hold`}.`]
    : [];
}

/** One sentence a gate, in words. */
function sentence(state: RunState, gate: GateOutcome, where: string): string {
  const metric = code(gate.metric);
  const from = `${value(gate.metric, gate.base)} → ${value(gate.metric, gate.head)}`;
  const spec = gateSpec(state, gate);
  const margin = spec?.margin === undefined ? "" : `, margin ${distance(gate.metric, spec.margin)}`;
  const sure = `(90 % interval ${interval(gate)}${margin})`;
  const moves = `${metric} ${moved(gate)}, ${from} ${sure}`;
  switch (gate.outcome) {
    case "Improved":
      return `${where} improves: ${moves}.`;
    case "Regressed":
      return `${where} **gets worse**: ${moves}.`;
    case "WithinMargin":
      return `${where} stays within its margin: ${moves}.`;
    case "Inconclusive":
      return `${where} is inconclusive: ${metric} ${from} ${sure}. ${needed(gate)}${gate.passed ? "The gate lets that pass." : "The gate wants proof, so it fails."}`;
    case "NotMet":
      return `${where} misses a limit: ${metric} is ${value(gate.metric, gate.head)}${gate.base === undefined ? "" : `, ${value(gate.metric, gate.base)} on the base`}; demanded is ${limits(gate, spec) || plain(gate.message ?? "", 200)}.`;
    default:
      return `${where}: gate ${code(gate.name)} could not be judged${gate.message === undefined ? "" : `: ${plain(gate.message, 300)}`}.`;
  }
}

function moved({ metric, delta }: GateOutcome): string {
  if (delta === undefined) return "changes";
  if (points(metric, delta).startsWith("±")) return "stays the same";
  return `${delta > 0 ? "rises" : "falls"} by ${distance(metric, delta)}`;
}

/** A gate as the base's policy has it; a suite without gates has the default. */
export function gateSpec({ planned }: RunState, gate: GateOutcome): Gate | undefined {
  const { gates } = planned.bundle;
  return (gates.length > 0 ? gates : [DEFAULT_GATE]).find(({ name }) => name === gate.name);
}

/** `≥ 80.0 %, ≤ …`; the margin is another matter. */
export function limits(
  { metric }: GateOutcome,
  spec: { readonly min?: number | undefined; readonly max?: number | undefined } | undefined,
): string {
  return [
    ...(spec?.min === undefined ? [] : [`≥ ${value(metric, spec.min)}`]),
    ...(spec?.max === undefined ? [] : [`≤ ${value(metric, spec.max)}`]),
  ].join(", ");
}

function needed({ metric, n, detectableEffect, casesNeeded, message }: GateOutcome): string {
  const cases = n === undefined ? "These cases" : count(n, "case");
  const verb = n === 1 ? "shows" : "show";
  const effect =
    detectableEffect === undefined
      ? ""
      : `${cases} ${verb} a loss of ${distance(metric, detectableEffect)} or more`;
  const more = casesNeeded === undefined ? "" : `about ${count(casesNeeded, "case")} would settle it`;
  const text = [effect, more].filter((part) => part !== "").join("; ");
  return `${message === undefined ? "" : `${plain(capital(message), 200)}. `}${text === "" ? "" : `${capital(text)}. `}`;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
