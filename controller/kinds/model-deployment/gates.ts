import type { EvalRun } from "../../../schemas/eval-run.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { API_VERSION, LABEL_REPOSITORY, LABEL_REVISION } from "../../../schemas/kind.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { evalRunName } from "../../eval/run-name.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import { type BundleInput, type BundleOutput, bundleInput } from "../eval-suite/bundle-input.ts";
import { revisionLabel } from "./names.ts";
import type { GateState } from "./rollout.ts";

/** One side of a gate's comparison: the deployment at one revision, at that revision's own address. */
export type GateSide = BundleInput["models"][string];

export interface GateInput {
  readonly deployment: ModelDeployment;
  readonly gates: readonly string[];
  readonly suites: ReadonlyMap<string, EvalSuite>;
  readonly prompts: ReadonlyMap<string, PromptTemplate>;
  readonly models: ReadonlyMap<string, ModelDeployment>;
  readonly runs: readonly EvalRun[];
  readonly head: GateSide;
  /** Absent where nothing serves yet. */
  readonly base: GateSide | undefined;
  readonly effect: (request: EffectRequest) => EffectOutcome | undefined;
}

export interface Gates {
  readonly state: GateState;
  readonly effects: readonly EffectRequest[];
  readonly runs: readonly KubeObject[];
}

/** All gates of a rollout: one EvalRun each, of the new revision against what serves. */
export function evaluateGates(input: GateInput): Gates {
  const each = input.gates.map((name) => evaluateGate(input, name));
  const failed = each.flatMap(({ state }) => (state.state === "Failed" ? [state.message] : []));
  const pending = each.find(({ state }) => state.state === "Pending");
  return {
    state:
      failed.length > 0
        ? { state: "Failed", message: failed.join("; ") }
        : (pending?.state ?? { state: "Passed" }),
    effects: each.flatMap(({ effects }) => effects),
    runs: each.flatMap(({ runs }) => runs),
  };
}

function evaluateGate(input: GateInput, name: string): Gates {
  const suite = input.suites.get(name);
  if (!suite) return waiting("EvalSuiteNotFound", `there is no EvalSuite ${name}, which rollout.gates names`);
  if (!suite.spec.targets.some(({ modelRef }) => modelRef.name === input.deployment.metadata.name))
    return waiting(
      "GateWithoutTarget",
      `EvalSuite ${name} has no target with modelRef ${input.deployment.metadata.name}, so it says nothing about it`,
    );
  const head = bundle(input, suite, input.head);
  if ("wait" in head) return head.wait;
  const base = input.base && bundle(input, suite, input.base);
  if (base && "wait" in base) return { ...base.wait, effects: [...head.effects, ...base.wait.effects] };
  const effects = [...head.effects, ...(base?.effects ?? [])];
  const run = runOf(input, suite, head, base);
  return {
    state: verdictOf(
      name,
      input.runs.find(({ metadata }) => metadata.name === run.metadata.name),
    ),
    effects,
    runs: [run],
  };
}

interface Bundled extends BundleOutput {
  readonly effects: readonly EffectRequest[];
  readonly revision: string;
}

/** The suite with this deployment at one revision, stored for the run; or what that waits for. */
function bundle(
  { deployment, prompts, models, effect }: GateInput,
  suite: EvalSuite,
  side: GateSide,
): Bundled | { readonly wait: Gates } {
  const prepared = bundleInput(suite, prompts, models, new Map([[deployment.metadata.name, side]]));
  if ("missing" in prepared) return { wait: waiting(prepared.missing.reason, prepared.missing.message) };
  const json = prepared.input as unknown as Json;
  const request = (attempt: number): EffectRequest => ({
    name: "bundle",
    inputDigest: digestOf(json),
    input: json,
    attempt,
    durable: false,
  });
  const outcome = effect(request(1));
  const retry = outcome?.state === "Failed" && outcome.error?.retryable === true;
  const effects = [request((outcome?.attempt ?? 1) + (retry ? 1 : 0))];
  if (outcome?.state === "Succeeded")
    return {
      ...(outcome.output as unknown as BundleOutput),
      effects,
      revision: prepared.input.suite.revision,
    };
  const { code = "Preparing", message = `reading the cases of EvalSuite ${suite.metadata.name}` } =
    outcome?.error ?? {};
  return { wait: { ...waiting(code, message), effects } };
}

function runOf(
  { deployment, head }: GateInput,
  suite: EvalSuite,
  headBundle: Bundled,
  base: Bundled | undefined,
): KubeObject {
  const side = ({ side: bundled, sideRevision }: Bundled) => ({ bundle: bundled, revision: sideRevision });
  const sides = { head: side(headBundle), ...(base ? { base: side(base) } : {}) };
  const repository = deployment.metadata.labels?.[LABEL_REPOSITORY];
  return {
    apiVersion: API_VERSION,
    kind: "EvalRun",
    metadata: {
      name: evalRunName("rollout-", suite.metadata.name, digestOf([headBundle.suite, sides])),
      labels: {
        [LABEL_REVISION]: revisionLabel(head.revision),
        ...(repository === undefined ? {} : { [LABEL_REPOSITORY]: repository }),
      },
    },
    spec: {
      suite: { name: suite.metadata.name, revision: headBundle.revision, bundle: headBundle.suite },
      trigger: "Rollout",
      ...sides,
    } satisfies EvalRun["spec"],
  };
}

function verdictOf(suite: string, run: EvalRun | undefined): GateState {
  const { verdict, passed, progress = "starting", conditions = [] } = run?.status ?? {};
  if (verdict === undefined || run === undefined)
    return { state: "Pending", reason: "Evaluating", message: `EvalSuite ${suite} runs on it: ${progress}` };
  if (passed === true) return { state: "Passed" };
  const said = conditions.find(({ type }) => type === "Passing")?.message ?? "";
  const text = `EvalRun ${run.metadata.name} ended as ${verdict}${said === "" ? "" : `: ${said.slice(0, 500)}`}`;
  // Nothing was found out: the run tries again by itself.
  if (verdict === "Error") return { state: "Pending", reason: "GateError", message: text };
  return { state: "Failed", message: text };
}

function waiting(reason: string, message: string): Gates {
  return { state: { state: "Pending", reason, message }, effects: [], runs: [] };
}
