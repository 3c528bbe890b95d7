import { setTimeout } from "node:timers/promises";
import type { EvalRun, EvalRunStatus } from "../../../schemas/eval-run.ts";
import { SlipwayError } from "../../errors.ts";
import type { SideBundle, SuiteBundle } from "../../eval/bundle.ts";
import { runEvaluation } from "../../eval/run.ts";
import type { Json } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { EffectHandler, Kind, View } from "../../runtime/kind.ts";
import type { StateStore } from "../../store/store.ts";
import { tenantOf } from "../tenant.ts";
import { EVAL_RUN } from "../types.ts";
import { askAs } from "./ask.ts";
import { decide, type EvaluateInput, evaluateDigest, type ObservedRun } from "./decide.ts";
import { summarize } from "./summary.ts";

/** A hosted model's name may be moved to other weights: what it answered is good for a day, on either side. */
const MAX_ANSWER_AGE_MS = 24 * 60 * 60 * 1_000;

function observe(object: KubeObject, view: View): ObservedRun {
  const run = object as unknown as EvalRun;
  const serviceAccountName = tenantOf(object, view);
  const { namespace = "", name } = object.metadata;
  return {
    run,
    serviceAccountName,
    evaluation: view.effect({ kind: "EvalRun", namespace, name }, "evaluate", evaluateDigest(run)),
  };
}

export interface EvalRunDependencies {
  readonly state: StateStore;
  readonly secrets: SecretReader;
  /** How long an evaluation waits for its bundles, in ms; 10,000 unless given. */
  readonly patienceMs?: number;
}

/** Who stores what EvalRuns evaluate: suites, the gates of a rollout, replays, and the runs of pull requests. */
const BUNDLING_KINDS = ["EvalSuite", "ModelDeployment", "Monitor", "Repository"];

/** How long those who bundle may take after a start: they read their case files while this looks for what they store. */
const PATIENCE_MS = 10_000;
const LOOK_AGAIN_MS = 200;

/**
 * Waits until something in the namespace has stored a bundle. A run that somebody wrote by hand must not name what
 * another namespace has stored: its cases would go to the endpoint that the run's author chose.
 */
async function bundledIn(
  namespace: string,
  digest: string,
  { state, patienceMs = PATIENCE_MS }: EvalRunDependencies,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + patienceMs;
  while (!BUNDLING_KINDS.some((kind) => state.reports.hasUploadIn(kind, namespace, digest))) {
    if (performance.now() >= until)
      throw new SlipwayError("ForeignBundle", `nothing in this namespace has stored the bundle ${digest}`, {
        hint: "delete the EvalRun: EvalSuites, Monitors, rollouts and pull requests make their own",
        retryable: true,
      });
    await setTimeout(LOOK_AGAIN_MS, undefined, { signal });
  }
}

/** Answers are cached as they come, so that an evaluation that is started again asks only what is missing. */
function evaluate(dependencies: EvalRunDependencies): EffectHandler {
  const { state, secrets } = dependencies;
  return async (input, { signal, log, progress }) => {
    const { namespace, serviceAccountName, spec, answersSince } = input as unknown as EvaluateInput;
    const load = async <T>(digest: string) => {
      await bundledIn(namespace, digest, dependencies, signal);
      return JSON.parse(new TextDecoder().decode(await state.blobs.get(digest))) as T;
    };
    const suite = await load<SuiteBundle>(spec.suite.bundle);
    const head = await load<SideBundle>(spec.head.bundle);
    const base = spec.base && (await load<SideBundle>(spec.base.bundle));
    const result = await runEvaluation(
      { suite, head, ...(base ? { base } : {}), tenant: namespace },
      {
        cache: state.results,
        ask: askAs({ namespace, serviceAccountName }, secrets),
        now: Date.now,
        signal,
        log,
        maxAgeMs:
          answersSince === undefined ? MAX_ANSWER_AGE_MS : Math.max(0, Date.now() - Date.parse(answersSince)),
        onProgress: ({ done, total }) => progress({ done, total }),
      },
    );
    const digest = await state.blobs.put(JSON.stringify(result));
    return summarize(result, digest) as unknown as Json;
  };
}

export function evalRun(dependencies: EvalRunDependencies): Kind<ObservedRun, EvalRunStatus> {
  return { type: EVAL_RUN, childTypes: [], observe, decide, effects: { evaluate: evaluate(dependencies) } };
}
