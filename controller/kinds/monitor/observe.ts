import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { LABEL_MONITOR_SIGNAL, LABEL_REPOSITORY } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { Monitor, MonitorSignal, ReplaySignal } from "../../../schemas/monitor.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import type { Repository } from "../../../schemas/repository.ts";
import { digestOf } from "../../graph/canonical.ts";
import type { KubeObject, ResourceType } from "../../kube/resources.ts";
import type { EffectOutcome, ObjectRef, View } from "../../runtime/kind.ts";
import { tenantOf } from "../tenant.ts";
import { EVAL_RUN, EVAL_SUITE, MODEL_DEPLOYMENT, PROMPT_TEMPLATE, REPOSITORY } from "../types.ts";
import { type ActionPlan, planDigest, planOf } from "./actions/plan.ts";
import { ruleRemoval } from "./actions/prometheus-rule.ts";
import { actionContext, type ObservedMonitor, RULE_REMOVAL } from "./decide.ts";
import { probeConfig, probeDigest } from "./signals/probe.ts";
import { queryDigest, queryInput } from "./signals/prometheus.ts";
import { compareInput, createdAt, type ObservedReplay, referenceOf, replayBundle } from "./signals/replay.ts";
import { endpointOfTarget } from "./target.ts";

/** Everything that a decision is made from, out of the caches. */
export function observe(object: KubeObject, view: View): ObservedMonitor {
  const monitor = object as unknown as Monitor;
  const { namespace = "", name, uid = "" } = object.metadata;
  const ref: ObjectRef = { kind: "Monitor", namespace, name };
  const get = <T>(type: ResourceType, of: string) =>
    view.get<KubeObject>(type, namespace, of) as unknown as T | undefined;
  const target = get<ModelDeployment>(MODEL_DEPLOYMENT, monitor.spec.targetRef.name);
  const serviceAccountName = tenantOf(object, view);
  const endpoint = endpointOfTarget(target);
  const config = endpoint && probeConfig(monitor, endpoint, serviceAccountName);
  const queries = target && queryInput(monitor, target, serviceAccountName);
  const runs = (view.children(EVAL_RUN, uid) as unknown as EvalRun[]).toSorted(
    (a, b) => createdAt(b) - createdAt(a),
  );
  const replays = new Map<string, ObservedReplay>();
  for (const signal of monitor.spec.signals) {
    if (!signal.replay) continue;
    const own = runs.filter(({ metadata }) => metadata.labels?.[LABEL_MONITOR_SIGNAL] === signal.name);
    replays.set(
      signal.name,
      observeReplay(monitor, signal, signal.replay, own, get, (effect, digest) =>
        view.effect(ref, effect, digest),
      ),
    );
  }
  const named = new Map<string, unknown>();
  for (const { openPullRequest } of monitor.spec.actions ?? []) {
    const suite = openPullRequest && get<EvalSuite>(EVAL_SUITE, openPullRequest.suiteRef.name);
    if (!suite) continue;
    named.set(`EvalSuite/${suite.metadata.name}`, suite);
    const owner = suite.metadata.labels?.[LABEL_REPOSITORY];
    if (owner !== undefined) named.set(`Repository/${owner}`, get<Repository>(REPOSITORY, owner));
  }
  return {
    monitor,
    target,
    serviceAccountName,
    probe: config && view.effect(ref, "probe", probeDigest(config)),
    query: queries && view.effect(ref, "query", queryDigest(queries)),
    replays,
    runs,
    named,
    actions: actionOutcomes(monitor, target, { serviceAccountName, runs, named }, (plan) =>
      view.effect(ref, plan.effect, planDigest(plan)),
    ),
  };
}

function observeReplay(
  monitor: Monitor,
  signal: MonitorSignal,
  replay: ReplaySignal,
  runs: readonly EvalRun[],
  get: <T>(type: ResourceType, name: string) => T | undefined,
  outcomeOf: (effect: string, digest: string) => EffectOutcome | undefined,
): ObservedReplay {
  const suite = get<EvalSuite>(EVAL_SUITE, replay.suiteRef.name);
  const prompts = new Map<string, PromptTemplate>();
  const models = new Map<string, ModelDeployment>();
  const judge = suite?.spec.judge?.modelRef.name;
  for (const { promptRef, modelRef } of suite?.spec.targets ?? []) {
    const prompt = get<PromptTemplate>(PROMPT_TEMPLATE, promptRef.name);
    if (prompt) prompts.set(promptRef.name, prompt);
    const model = get<ModelDeployment>(MODEL_DEPLOYMENT, modelRef.name);
    if (model) models.set(modelRef.name, model);
  }
  const judging = judge === undefined ? undefined : get<ModelDeployment>(MODEL_DEPLOYMENT, judge);
  if (judging && judge !== undefined) models.set(judge, judging);
  const { lastRun } = suite?.status ?? {};
  const suiteRun = lastRun === undefined ? undefined : get<EvalRun>(EVAL_RUN, lastRun);
  const known = { suite, prompts, models };
  const preparing = replayBundle(monitor, replay, known);
  const finished = runs.find(({ status }) => status?.verdict !== undefined);
  const before = monitor.status?.signals?.find(({ name }) => name === signal.name);
  return {
    ...known,
    suiteRun,
    runs,
    bundle: "input" in preparing ? outcomeOf("bundle", digestOf(preparing.input)) : undefined,
    comparison:
      finished &&
      outcomeOf(
        "compare",
        digestOf(compareInput(replay, finished, referenceOf(replay, { suiteRun }, finished, before))),
      ),
  };
}

function actionOutcomes(
  monitor: Monitor,
  target: ModelDeployment | undefined,
  known: Pick<ObservedMonitor, "serviceAccountName" | "runs" | "named">,
  outcomeOf: (plan: ActionPlan) => EffectOutcome | undefined,
): ReadonlyMap<string, EffectOutcome | undefined> {
  const outcomes = new Map<string, EffectOutcome | undefined>();
  if (!target) return outcomes;
  for (const action of monitor.spec.actions ?? []) {
    const plan = planOf(monitor, action, actionContext(known, target));
    if (plan && !("reason" in plan)) outcomes.set(action.name, outcomeOf(plan));
  }
  const removal = ruleRemoval(monitor, known.serviceAccountName);
  if (removal) outcomes.set(RULE_REMOVAL, outcomeOf(removal));
  return outcomes;
}
