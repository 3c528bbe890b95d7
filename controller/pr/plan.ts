import type { EvalSuite, EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import { budget as budgetSchema } from "../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../schemas/prompt-template.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { BundledModel, BundledTarget, SideBundle, SuiteBundle } from "../eval/bundle.ts";
import { nodeKey, type RevisionGraph } from "../graph/graph.ts";
import { hostAllowed } from "../kube/allowed-hosts.ts";
import type { Assessment } from "./assess.ts";
import type { NotEvaluated, NotEvaluatedReason } from "./not-evaluated.ts";
import { headPrices, withBasePrice } from "./prices.ts";
import { republished } from "./republished.ts";
import { changesBehaviour, missingSuites } from "./required.ts";
import { listed } from "./standing.ts";
import { possibleHeirs, successorSuite } from "./successor.ts";

export type { NotEvaluated, NotEvaluatedReason } from "./not-evaluated.ts";

/** A suite to run: its policy as the base has it, both sides in memory. */
export interface PlannedRun {
  readonly suite: string;
  /** Its verdict decides the commit status. */
  readonly gating: boolean;
  readonly via: readonly string[];
  readonly bundle: SuiteBundle;
  /** The targets that differ; the same ones on both sides. */
  readonly base: SideBundle;
  readonly head: SideBundle;
  /** Deployments whose price comes from the pull request, where a cap or a gate counts with it. */
  readonly headPrices?: readonly string[];
}

export interface EvaluationPlan {
  readonly runs: readonly PlannedRun[];
  readonly notEvaluated: readonly NotEvaluated[];
}

type PullRequestSettings = NonNullable<Repository["spec"]["pullRequests"]>;

/**
 * Which suites to run for a pull request, and why not the others. Policy (suites, gates, judge, budget, hosts)
 * is the base's; only prompts and deployments are the head's. Of a suite's targets those are run that differ: equal
 * ones would prove nothing and cost calls.
 * @param trusted false for a fork that nobody with write access has vouched for
 */
export function planEvaluation(
  assessment: Assessment,
  settings: Partial<PullRequestSettings>,
  trusted: boolean,
): EvaluationPlan {
  const { impact, head, base } = assessment;
  if (!impact || !head) return { runs: [], notEvaluated: [] };
  const runs: PlannedRun[] = [];
  const gating = (suite: string) => settings.requiredSuites?.includes(suite) ?? true;
  const unreadable = unreadableSuites(assessment);
  const notEvaluated: NotEvaluated[] = unreadable.map((suite) => ({
    suite,
    gating: gating(suite),
    reason: "Invalid",
    message: "the suite is invalid on the base branch, so nothing says whether this change passes it",
  }));
  notEvaluated.push(...missingSuites(assessment, settings.requiredSuites ?? [], unreadable));
  const hosts = [...hostsOf(base.graph), ...(settings.allowedHosts ?? [])];
  for (const { suite, via } of impact.suites) {
    const skip = (reason: NotEvaluatedReason, message: string, more: { settled?: boolean } = {}) =>
      notEvaluated.push({ suite, gating: gating(suite), reason, message, ...more });
    const node = base.graph.nodes.get(nodeKey("EvalSuite", suite));
    const cases = base.cases.get(suite);
    if (!node || !cases || node.revision === undefined) {
      skip("Invalid", "the suite is invalid on the base branch");
      continue;
    }
    const spec = node.object.spec as EvalSuite["spec"];
    if (spec.suspend) {
      skip("Suspended", "the suite is suspended on the base branch");
      continue;
    }
    const sides = comparedTargets(suite, spec, assessment, head.graph);
    if ("missing" in sides) {
      skip("Unresolved", `${sides.missing} is missing or invalid on the base branch`);
      continue;
    }
    const invalid = sides.gone.find(
      (key) => head.incomplete || head.errors.some(({ object }) => object === key),
    );
    if (invalid !== undefined) {
      skip("Invalid", `${invalid} is invalid in the pull request`);
      continue;
    }
    if (sides.gone.length > 0) {
      const rest = sides.pairs.length > 0 ? "; the other targets are evaluated" : "";
      const kept = sides.settled ? "" : `, and ${openQuestion(sides.heirs)}`;
      skip("Removed", `${sides.gone.join(", ")} is removed by the pull request${kept}${rest}`, {
        settled: sides.settled,
      });
    }
    // Only the judge changes, or what is left is the same: there is nothing to compare.
    if (sides.pairs.length === 0) continue;
    if (!trusted) {
      skip(
        "Fork",
        "the pull request comes from a fork, and nobody with write access has approved this commit",
      );
      continue;
    }
    const foreign = sides.pairs.map((pair) => pair.head.model).find((model) => !mayBeAsked(model, hosts));
    if (foreign) {
      skip(
        "HostNotAllowed",
        `ModelDeployment ${foreign.name} would be asked at ${hostOf(foreign)}, a host that the base branch does not use. Nothing was sent there, no key either. If it is meant, add it to the Repository's spec.pullRequests.allowedHosts`,
      );
      continue;
    }
    const judge = spec.judge && modelOf(base.graph, spec.judge.modelRef.name);
    const asked = [
      ...sides.pairs.flatMap(({ base: before, head: after }) => [before.model, after.model]),
      ...(judge ? [judge] : []),
    ];
    const served = asked.find((model) => model.spec.type === "InCluster");
    if (served) {
      const changes = sides.pairs.some(
        (pair) =>
          pair.head.model.name === served.name && pair.head.model.revision !== pair.base.model.revision,
      );
      skip(
        "InCluster",
        changes
          ? `ModelDeployment ${served.name} is served in the cluster, and this pull request's revision of it is not there before it is merged. After the merge, the gates in its rollout.gates decide whether it gets traffic`
          : `ModelDeployment ${served.name} is served in the cluster, where a pull request asks no model anything. The suite runs on it after the merge`,
      );
      continue;
    }
    runs.push({
      suite,
      gating: gating(suite),
      via,
      bundle: {
        name: suite,
        revision: node.revision,
        cases,
        assert: spec.assert,
        gates: spec.gates,
        repeats: spec.repeats,
        budget: spec.budget ?? budgetSchema.parse({}),
        ...(judge ? { judge } : {}),
      },
      base: { targets: sides.pairs.map((pair) => pair.base) },
      head: {
        targets: sides.pairs.map(({ head: target }) => ({
          ...target,
          model: withBasePrice(target.model, base.graph),
        })),
      },
    });
  }
  const compared = runs.map((run) => ({
    gating: run.gating,
    prompts: run.base.targets.map(({ prompt }, at) => ({
      base: prompt.name,
      head: run.head.targets[at]?.prompt.name ?? "",
    })),
  }));
  notEvaluated.push(...republished(base.graph, head.graph, compared, gating));
  const capped = withCostShare(runs, settings.maxCostPerPullRequest).map((run) => ({
    ...run,
    headPrices: headPrices(run.bundle, run.head, base.graph),
  }));
  return { runs: capped, notEvaluated };
}

/** Suites that are invalid on the base branch already, where prompts or deployments change: one of them may matter. */
function unreadableSuites({ base, impact }: Assessment): string[] {
  if (!changesBehaviour(impact)) return [];
  const keys = base.errors.flatMap(({ object }) => (object?.startsWith("EvalSuite/") ? [object] : []));
  return [...new Set(keys)]
    .filter((key) => !base.graph.nodes.has(key))
    .map((key) => key.slice("EvalSuite/".length));
}

interface TargetPair {
  readonly base: BundledTarget;
  readonly head: BundledTarget;
}

interface ComparedTargets {
  readonly pairs: readonly TargetPair[];
  /** Keys that the head no longer has, and for which it names nothing else. */
  readonly gone: readonly string[];
  /** What is gone left the head's suite as well, and nothing came that could be it: nothing is left to evaluate. */
  readonly settled: boolean;
  /** What came in the pull request and could be what is gone, under another name. */
  readonly heirs: readonly string[];
}

function openQuestion(heirs: readonly string[]): string {
  if (heirs.length === 0) return "nothing that could be evaluated takes its place in the suite";
  return `${listed(heirs)} may take its place: no suite says so. Name the new one in the suite's target, or remove the old one in a pull request of its own`;
}

/**
 * The targets whose prompt or deployment differs, and what the head no longer has. A target whose prompt or
 * deployment is gone is compared with what the head's suite names instead: renaming must not be a way around.
 */
function comparedTargets(
  suite: string,
  spec: EvalSuiteSpec,
  assessment: Assessment,
  headGraph: RevisionGraph,
): ComparedTargets | { missing: string } {
  const { base } = assessment;
  const headSuite = successorSuite(suite, assessment);
  const names = new Set(spec.targets.map(({ name }) => name));
  const renamed = headSuite?.targets.some(({ name }) => !names.has(name)) ?? false;
  const pairs: TargetPair[] = [];
  const gone = new Set<string>();
  const heirs = new Set<string>();
  let settled = true;
  for (const target of spec.targets) {
    const before = targetOf(target, base.graph);
    if ("missing" in before) return before;
    const successor = headSuite?.targets.find(({ name }) => name === target.name);
    let after = targetOf(target, headGraph);
    if ("missing" in after && successor) {
      const instead = targetOf(successor, headGraph);
      if (!("missing" in instead)) after = instead;
    }
    if ("missing" in after) {
      const possible = possibleHeirs(after.missing, base.graph, headGraph);
      // The same under another name, in a suite of another name: nothing behaves differently.
      if (possible.same && !successor) continue;
      gone.add(after.missing);
      for (const key of possible.keys) heirs.add(key);
      settled &&= !successor && !renamed && possible.keys.length === 0;
    } else if (!sameTarget(before, after)) pairs.push({ base: before, head: after });
  }
  return { pairs, gone: [...gone], settled, heirs: [...heirs] };
}

const sameTarget = (a: BundledTarget, b: BundledTarget) =>
  a.prompt.revision === b.prompt.revision && a.model.revision === b.model.revision;

function targetOf(
  target: EvalSuiteSpec["targets"][number],
  graph: RevisionGraph,
): BundledTarget | { missing: string } {
  const promptKey = nodeKey("PromptTemplate", target.promptRef.name);
  const prompt = graph.nodes.get(promptKey);
  if (prompt?.revision === undefined) return { missing: promptKey };
  const model = modelOf(graph, target.modelRef.name);
  if (!model) return { missing: nodeKey("ModelDeployment", target.modelRef.name) };
  const spec = prompt.object.spec as PromptTemplate["spec"];
  return { name: target.name, prompt: { name: prompt.name, revision: prompt.revision, spec }, model };
}

/** The targets of a suite as one graph has them. */
export function sideOf(
  spec: EvalSuite["spec"],
  graph: RevisionGraph,
): { side: SideBundle } | { missing: string } {
  const targets: BundledTarget[] = [];
  for (const target of spec.targets) {
    const found = targetOf(target, graph);
    if ("missing" in found) return found;
    targets.push(found);
  }
  return { side: { targets } };
}

function modelOf(graph: RevisionGraph, name: string): BundledModel | undefined {
  const node = graph.nodes.get(nodeKey("ModelDeployment", name));
  if (node?.revision === undefined) return undefined;
  return { name, revision: node.revision, spec: node.object.spec as ModelDeployment["spec"] };
}

/** Every host that the base branch's deployments use, as the WHATWG parser reads it. */
function hostsOf(graph: RevisionGraph): string[] {
  return [...graph.nodes.values()].flatMap((node) => {
    if (node.kind !== "ModelDeployment") return [];
    const url = URL.parse((node.object.spec as ModelDeployment["spec"]).external?.baseURL ?? "");
    if (!url) return [];
    return [`${url.hostname.replace(/\.$/, "")}:${url.port || (url.protocol === "https:" ? "443" : "80")}`];
  });
}

function mayBeAsked({ spec }: BundledModel, hosts: readonly string[]): boolean {
  return spec.external === undefined || hostAllowed(spec.external.baseURL, hosts);
}

const hostOf = ({ spec }: BundledModel) =>
  URL.parse(spec.external?.baseURL ?? "")?.host ?? "an invalid address";

/** Each run gets an equal share of what the pull request may cost, and no more than its suite allows. */
function withCostShare(runs: readonly PlannedRun[], total: string | undefined): PlannedRun[] {
  if (total === undefined) return [...runs];
  const share = shareOf(total, runs.length);
  return runs.map((run) => {
    const { budget } = run.bundle;
    const maxCost =
      budget.maxCost !== undefined && Number(budget.maxCost) <= Number(share) ? budget.maxCost : share;
    return { ...run, bundle: { ...run.bundle, budget: { ...budget, maxCost } } };
  });
}

/** The decimal's equal part, rounded down to six digits after the point. */
function shareOf(total: string, parts: number): string {
  const [whole = "0", fraction = ""] = total.split(".");
  const micros = BigInt(whole + fraction.slice(0, 6).padEnd(6, "0")) / BigInt(Math.max(1, parts));
  const digits = micros.toString().padStart(7, "0");
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}
