import type { EvalSuite } from "../../schemas/eval-suite.ts";
import { budget as budgetSchema } from "../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../schemas/prompt-template.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { BundledModel, SideBundle, SuiteBundle } from "../eval/bundle.ts";
import { nodeKey, type RevisionGraph } from "../graph/graph.ts";
import { hostAllowed } from "../kube/allowed-hosts.ts";
import type { Assessment } from "./assess.ts";

/** Why a suite that the change touches is not run. */
export type NotEvaluatedReason =
  | "Fork"
  | "Invalid"
  | "Removed"
  | "Unresolved"
  | "HostNotAllowed"
  | "Suspended";

export interface NotEvaluated {
  readonly suite: string;
  readonly reason: NotEvaluatedReason;
  readonly message: string;
}

/** A suite to run: its policy as the base has it, both sides in memory. */
export interface PlannedRun {
  readonly suite: string;
  /** Its verdict decides the commit status. */
  readonly gating: boolean;
  readonly via: readonly string[];
  readonly bundle: SuiteBundle;
  readonly base: SideBundle;
  readonly head: SideBundle;
}

export interface EvaluationPlan {
  readonly runs: readonly PlannedRun[];
  readonly notEvaluated: readonly NotEvaluated[];
}

type PullRequestSettings = NonNullable<Repository["spec"]["pullRequests"]>;

/**
 * Which suites to run for a pull request, and why not the others. Policy (suites, gates, judge, budget, hosts)
 * is the base's; only prompts and deployments are the head's.
 * @param trusted false for a fork that nobody with write access has vouched for
 */
export function planEvaluation(
  assessment: Assessment,
  settings: Partial<PullRequestSettings>,
  trusted: boolean,
): EvaluationPlan {
  const runs: PlannedRun[] = [];
  const notEvaluated: NotEvaluated[] = [];
  const { impact, head, base } = assessment;
  if (!impact || !head) return { runs, notEvaluated };
  const hosts = [...hostsOf(base.graph), ...(settings.allowedHosts ?? [])];
  const share = costShare(settings.maxCostPerPullRequest, impact.suites.length);
  for (const { suite, via } of impact.suites) {
    const skip = (reason: NotEvaluatedReason, message: string) =>
      notEvaluated.push({ suite, reason, message });
    const node = base.graph.nodes.get(nodeKey("EvalSuite", suite));
    const cases = base.cases.get(suite);
    if (!node || !cases || node.revision === undefined) {
      skip("Invalid", "the suite is not valid on the base branch");
      continue;
    }
    const spec = node.object.spec as EvalSuite["spec"];
    if (spec.suspend) {
      skip("Suspended", "the suite is suspended");
      continue;
    }
    const baseSide = sideOf(spec, base.graph);
    const headSide = sideOf(spec, head.graph);
    if ("missing" in baseSide) {
      skip("Unresolved", `on the base branch ${baseSide.missing} is missing or invalid`);
      continue;
    }
    if ("missing" in headSide) {
      const gone = !head.errors.some((error) => error.object === headSide.missing);
      skip(
        gone ? "Removed" : "Invalid",
        `${headSide.missing} is ${gone ? "removed" : "invalid"} in the pull request`,
      );
      continue;
    }
    if (!trusted) {
      skip(
        "Fork",
        "a fork's pull request is evaluated after somebody with write access comments `/ok-to-test <sha>`",
      );
      continue;
    }
    const foreign = headSide.side.targets.find(({ model }) => {
      const url = model.spec.external?.baseURL;
      return url !== undefined && !hostAllowed(url, hosts);
    });
    if (foreign) {
      skip(
        "HostNotAllowed",
        `ModelDeployment ${foreign.model.name} would be asked at ${hostOf(foreign.model.spec.external?.baseURL)}, which the base branch does not use: nothing was sent there, no key either. Allow the host in the Repository's spec.pullRequests.allowedHosts`,
      );
      continue;
    }
    const judge = spec.judge && modelOf(base.graph, spec.judge.modelRef.name);
    const budget = spec.budget ?? budgetSchema.parse({});
    runs.push({
      suite,
      gating: settings.requiredSuites === undefined || settings.requiredSuites.includes(suite),
      via,
      bundle: {
        name: suite,
        revision: node.revision,
        cases,
        assert: spec.assert,
        gates: spec.gates,
        repeats: spec.repeats,
        budget: share === undefined ? budget : { ...budget, maxCost: smaller(budget.maxCost, share) },
        ...(judge ? { judge } : {}),
      },
      base: baseSide.side,
      head: headSide.side,
    });
  }
  return { runs, notEvaluated };
}

/** The targets of a suite as one graph has them. */
export function sideOf(
  spec: EvalSuite["spec"],
  graph: RevisionGraph,
): { side: SideBundle } | { missing: string } {
  const targets: SideBundle["targets"][number][] = [];
  for (const target of spec.targets) {
    const promptKey = nodeKey("PromptTemplate", target.promptRef.name);
    const prompt = graph.nodes.get(promptKey);
    if (prompt?.revision === undefined) return { missing: promptKey };
    const model = modelOf(graph, target.modelRef.name);
    if (!model) return { missing: nodeKey("ModelDeployment", target.modelRef.name) };
    targets.push({
      name: target.name,
      prompt: {
        name: prompt.name,
        revision: prompt.revision,
        spec: prompt.object.spec as PromptTemplate["spec"],
      },
      model,
    });
  }
  return { side: { targets } };
}

function modelOf(graph: RevisionGraph, name: string): BundledModel | undefined {
  const node = graph.nodes.get(nodeKey("ModelDeployment", name));
  if (node?.revision === undefined) return undefined;
  return { name, revision: node.revision, spec: node.object.spec as ModelDeployment["spec"] };
}

/** Every host that the base branch's deployments use. */
function hostsOf(graph: RevisionGraph): string[] {
  return [...graph.nodes.values()].flatMap((node) => {
    if (node.kind !== "ModelDeployment") return [];
    const url = (node.object.spec as ModelDeployment["spec"]).external?.baseURL;
    if (url === undefined || !URL.canParse(url)) return [];
    const { hostname, port, protocol } = new URL(url);
    return [`${hostname}:${port || (protocol === "https:" ? "443" : "80")}`];
  });
}

const hostOf = (url: string | undefined) =>
  url === undefined || !URL.canParse(url) ? "an invalid URL" : new URL(url).host;

/** An equal share of the pull request's budget for each suite, in whole cents of a cent. */
function costShare(total: string | undefined, suites: number): string | undefined {
  if (total === undefined || suites === 0) return undefined;
  return (Math.floor((Number(total) * 10_000) / suites) / 10_000).toFixed(4);
}

const smaller = (a: string | undefined, b: string) => (a !== undefined && Number(a) <= Number(b) ? a : b);
