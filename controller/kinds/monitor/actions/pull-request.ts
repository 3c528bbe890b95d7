import type { EvalRun } from "../../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../../schemas/eval-suite.ts";
import { LABEL_REPOSITORY } from "../../../../schemas/kind.ts";
import type { Monitor, Transition } from "../../../../schemas/monitor.ts";
import type { MonitorAction } from "../../../../schemas/monitor-actions.ts";
import type { Repository } from "../../../../schemas/repository.ts";
import { digestOf } from "../../../graph/canonical.ts";
import type { ActionContext, ActionPlan, Obstacle } from "./plan.ts";

export interface PullRequestInput {
  readonly monitor: { readonly namespace: string; readonly name: string };
  readonly signal: string;
  readonly transition: number;
  /** The replay whose failing cases are proposed: its name, result and suite in the blob store. */
  readonly run: { readonly name: string; readonly result: string; readonly suiteBundle: string };
  /** The suite that gets them. */
  readonly suite: { readonly name: string; readonly assert: EvalSuite["spec"]["assert"] };
  /** In the git repository. */
  readonly path: string;
  readonly repository: Pick<Repository, "metadata" | "spec">;
}

export interface PullRequestOutput {
  /** Absent when there was nothing to propose. */
  readonly url?: string;
  readonly added: number;
}

/** Gitea's limit. */
const MAX_BRANCH = 100;

/** One branch a Monitor: what is open is found by its name, and added to. */
export function branchOf({ namespace, name }: PullRequestInput["monitor"]): string {
  const branch = `slipway/${namespace}/monitor-${name}`;
  return branch.length <= MAX_BRANCH ? branch : `slipway/monitor-${digestOf([namespace, name]).slice(0, 32)}`;
}

interface Worse {
  readonly transition: Transition;
  readonly run: EvalRun;
  /** Digest of the run's result. */
  readonly result: string;
}

/**
 * The oldest transition of a replay to something worse that was not told yet and has something to propose: not one
 * whose run has no result, is gone from what is kept, or whose signal is gone from the spec.
 */
function nextWorse(monitor: Monitor, action: string, runs: readonly EvalRun[]): Worse | undefined {
  const { history = [], actions = [], signals = [] } = monitor.status ?? {};
  const told = actions.find(({ name }) => name === action)?.delivered;
  if (told === undefined) return undefined;
  const replays = new Set(monitor.spec.signals.flatMap(({ name, replay }) => (replay ? [name] : [])));
  for (const transition of history.toReversed()) {
    const { id, signal, to } = transition;
    if (id <= told || !replays.has(signal) || (to !== "WARNING" && to !== "ALERT")) continue;
    const shown = signals.find(({ name }) => name === signal)?.run;
    const run = runs.find(({ metadata }) => metadata.name === shown);
    const result = run?.status?.result;
    if (run && result !== undefined) return { transition, run, result };
  }
  return undefined;
}

export function pullRequestPlan(
  monitor: Monitor,
  action: MonitorAction,
  { runs, get }: ActionContext,
): ActionPlan | Obstacle | undefined {
  const settings = action.openPullRequest;
  const worse = nextWorse(monitor, action.name, runs);
  if (!settings || !worse) return undefined;
  const { transition, run, result } = worse;
  const { name, namespace = "" } = monitor.metadata;
  const suite = get<EvalSuite>("EvalSuite", settings.suiteRef.name);
  if (!suite)
    return { reason: "EvalSuiteNotFound", message: `there is no EvalSuite ${settings.suiteRef.name}` };
  const file = settings.file ?? suite.spec.cases.files?.[0]?.path;
  if (file === undefined)
    return {
      reason: "NoCaseFile",
      message: `EvalSuite ${settings.suiteRef.name} has no case file: set openPullRequest.file`,
    };
  const owner = suite.metadata.labels?.[LABEL_REPOSITORY];
  const repository = owner === undefined ? undefined : get<Repository>("Repository", owner);
  if (!repository)
    return {
      reason: "NotFromGit",
      message: `EvalSuite ${settings.suiteRef.name} was not applied by a Repository`,
    };
  const { path } = repository.spec;
  const input: PullRequestInput = {
    monitor: { namespace, name },
    signal: transition.signal,
    transition: transition.id,
    run: { name: run.metadata.name, result, suiteBundle: run.spec.suite.bundle },
    suite: { name: suite.metadata.name, assert: suite.spec.assert },
    path: path === "" ? file : `${path}/${file}`,
    repository: { metadata: identityOf(repository), spec: repository.spec },
  };
  return { effect: "pullRequest", input, durable: true, transition: transition.id };
}

function identityOf({ metadata }: Repository): Repository["metadata"] {
  const { name, namespace, uid } = metadata;
  return { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
}
