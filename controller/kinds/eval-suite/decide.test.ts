import { describe, expect, test } from "vitest";
import type { EvalRun, EvalRunStatus } from "../../../schemas/eval-run.ts";
import { type EvalSuite, evalSuiteSpec } from "../../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { type PromptTemplate, promptTemplateSpec } from "../../../schemas/prompt-template.ts";
import {
  conditionsOf,
  failed,
  later,
  NOW,
  object,
  readyConditions,
  reconcilingConditions,
  running,
  stalledConditions,
  succeeded,
  written,
} from "../../../test/kind-objects.ts";
import { sideRevisionOf } from "../../eval/side.ts";
import { ready, reconciling } from "../../runtime/conditions.ts";
import type { Decision } from "../../runtime/kind.ts";
import { type BundleOutput, bundleInput, decide, type ObservedSuite, runName } from "./decide.ts";

const PROMPT_REVISION = "a".repeat(64);
const MODEL_REVISION = "b".repeat(64);
const spec = (more: object = {}) =>
  evalSuiteSpec.parse({
    targets: [{ name: "main", promptRef: { name: "p" }, modelRef: { name: "m" } }],
    cases: { inline: [{ id: "one" }] },
    ...more,
  });
const suite = (shape: Partial<EvalSuite> = {}) => object<EvalSuite>("EvalSuite", { spec: spec(), ...shape });
const prompt = (shape: Partial<PromptTemplate> = {}) =>
  object<PromptTemplate>("PromptTemplate", {
    spec: promptTemplateSpec.parse({ messages: [{ role: "user", content: "hi" }] }),
    status: { observedGeneration: 1, revision: PROMPT_REVISION, conditions: ready("Compiled", "") },
    ...shape,
  });
const model = (shape: Partial<ModelDeployment> = {}) =>
  object<ModelDeployment>("ModelDeployment", {
    spec: { type: "External" },
    status: { observedGeneration: 1, revision: MODEL_REVISION, conditions: ready("EndpointAnswers", "") },
    ...shape,
  });

const bundle: BundleOutput = {
  suite: `sha256:${"1".repeat(64)}`,
  side: `sha256:${"2".repeat(64)}`,
  sideRevision: sideRevisionOf({
    targets: [
      { name: "main", prompt: { revision: PROMPT_REVISION }, model: { revision: MODEL_REVISION } },
    ] as never,
  }),
  cases: 12,
};
const NAME = runName("evalsuite", bundle);

const observe = (more: Partial<ObservedSuite> = {}): ObservedSuite => ({
  suite: suite(),
  prompts: new Map([["p", prompt()]]),
  models: new Map([["m", model()]]),
  bundle: succeeded(bundle),
  runs: [],
  ...more,
});
const look = (more: Partial<ObservedSuite> = {}, now = NOW) => decide(observe(more), now);

/** The run as the decision makes it, with a status. */
function run(status?: EvalRunStatus, name = NAME): EvalRun {
  const [child] = look().children;
  return {
    ...(child as unknown as EvalRun),
    metadata: { name, namespace: "team" },
    ...(status && { status }),
  };
}
const passed = run({ verdict: "Pass", score: "91.7%" });
const names = (decision: Decision<unknown>) => decision.children.map(({ metadata }) => metadata.name);
/** The suite when its run has passed. */
const evaluated = () => written(suite(), look({ runs: [passed] }));

describe("what a suite waits for", () => {
  const stale = { ...prompt().status, observedGeneration: 1 };
  test.each<[string, Partial<ObservedSuite>, string]>([
    ["a prompt that is not there", { prompts: new Map() }, "PromptTemplateNotFound"],
    ["a model that is not there", { models: new Map() }, "ModelDeploymentNotFound"],
    [
      "a prompt never looked at",
      { prompts: new Map([["p", prompt({ status: {} })]]) },
      "PromptTemplateNotReady",
    ],
    [
      "a prompt ready at a former generation",
      { prompts: new Map([["p", prompt({ metadata: { name: "p", generation: 2 }, status: stale })]]) },
      "PromptTemplateNotReady",
    ],
    [
      "a model whose endpoint does not answer",
      {
        models: new Map([
          ["m", model({ status: { ...model().status, conditions: reconciling("EndpointUnreachable", "") } })],
        ]),
      },
      "ModelDeploymentNotReady",
    ],
    [
      "a judge",
      { suite: suite({ spec: spec({ judge: { modelRef: { name: "j" } } }) }) },
      "ModelDeploymentNotFound",
    ],
    [
      "the digest of a case file",
      { suite: suite({ spec: spec({ cases: { files: [{ path: "cases.csv" }] } }) }) },
      "Unresolved",
    ],
  ])("%s", (_, more, reason) => {
    const decision = look({ ...more, bundle: undefined });
    expect(conditionsOf(decision)).toEqual(reconcilingConditions(reason));
    expect(decision).toMatchObject({ children: [], effects: [] });
  });

  test("what was known stays, and so do the runs: one may be working", () => {
    const before = evaluated();
    const decision = look({ suite: before, models: new Map(), runs: [passed] });
    expect(decision.status).toMatchObject({ score: "91.7%", lastRun: NAME, cases: 12 });
    expect(conditionsOf(decision)).toContain("Passing=True/Passed");
    expect(names(decision)).toEqual([NAME]);
  });
});

describe("bundle", () => {
  test("is asked for once everything is ready, and costs nothing to lose", () => {
    const decision = look({ bundle: undefined });
    expect(decision.effects).toMatchObject([{ name: "bundle", attempt: 1, durable: false }]);
    expect(conditionsOf(decision)).toEqual(reconcilingConditions("Preparing"));
  });

  test("another prompt revision is another bundle; another price of the model too, as it is in it", () => {
    const digest = (more: Partial<ObservedSuite>) => look(more).effects[0]?.inputDigest;
    const moved = prompt({ status: { ...prompt().status, revision: "c".repeat(64) } });
    expect(digest({ prompts: new Map([["p", moved]]) })).not.toBe(digest({}));
    expect(digest({})).toBe(digest({ bundle: undefined }));
  });

  test("a failure that may pass is retried, and says why meanwhile", () => {
    const decision = look({ bundle: failed("DiskBusy", true, 3) });
    expect(conditionsOf(decision)).toEqual(reconcilingConditions("DiskBusy"));
    expect(decision.effects[0]?.attempt).toBe(4);
    const trying = look({ suite: written(suite(), decision), bundle: running(4) });
    expect(conditionsOf(trying)).toEqual(reconcilingConditions("DiskBusy"));
  });

  test("one that needs a person is Stalled, tried again after a minute, and deletes no run", () => {
    const early = look({ bundle: failed("InvalidCases", false), runs: [passed] });
    expect(conditionsOf(early)).toEqual(stalledConditions("InvalidCases"));
    expect(early).toMatchObject({ effects: [{ attempt: 1 }], requeueAfterMs: 60_000 });
    expect(names(early)).toEqual([NAME]);
    expect(look({ bundle: failed("InvalidCases", false) }, later(60_000)).effects[0]?.attempt).toBe(2);
  });
});

describe("run", () => {
  test("is made with everything it needs to be repeated", () => {
    const decision = look();
    expect(decision.children).toMatchObject([
      {
        kind: "EvalRun",
        metadata: { name: NAME, namespace: "team" },
        spec: {
          trigger: "Merge",
          suite: { name: "evalsuite", bundle: bundle.suite },
          head: { bundle: bundle.side, revision: bundle.sideRevision },
        },
      },
    ]);
    expect(conditionsOf(decision)).toEqual([
      ...reconcilingConditions("Evaluating"),
      "Passing=Unknown/Evaluating",
    ]);
  });

  test("carries the label of the Repository, which says as whom Secrets are read", () => {
    const labels = { "slipway.dev/repository": "team-repo" };
    const of = suite({ metadata: { name: "evalsuite", generation: 1, labels } });
    expect(look({ suite: of }).children[0]?.metadata.labels).toEqual(labels);
  });

  test("shows its progress", () => {
    const decision = look({ runs: [run({ progress: "3/12" })] });
    expect(decision.status.conditions?.[0]?.message).toBe(`EvalRun ${NAME}: 3/12`);
  });

  test.each([
    ["Pass", "Passing=True/Passed"],
    ["Fail", "Passing=False/Failed"],
    ["Inconclusive", "Passing=Unknown/Inconclusive"],
    ["Error", "Passing=Unknown/Error"],
  ] as const)("%s is Ready all the same", (verdict, passing) => {
    const decision = look({ runs: [run({ verdict })] });
    expect(conditionsOf(decision)).toEqual([...readyConditions("Evaluated"), passing]);
    expect(decision.status).toMatchObject({ lastRun: NAME, cases: 12 });
  });

  test("an Error does not keep the score of another run", () => {
    const before = { ...evaluated(), metadata: { ...evaluated().metadata, generation: 2 } };
    const decision = look({ suite: before, runs: [run({ verdict: "Error" })] });
    expect(decision.status).toMatchObject({ lastRun: NAME });
    expect(decision.status).not.toHaveProperty("score");
  });

  test("the run with the score stays until the next has a verdict; a run that nobody wants any more goes", () => {
    const former = run({ verdict: "Pass", score: "80.0%" }, "former");
    const obsolete = run({ progress: "1/12" }, "obsolete");
    const before = { ...evaluated(), status: { ...evaluated().status, lastRun: "former", score: "80.0%" } };
    const starting = look({ suite: before, runs: [former, obsolete] });
    expect(names(starting)).toEqual([NAME, "former"]);
    expect(starting.status).toMatchObject({ lastRun: "former", score: "80.0%" });
    expect(conditionsOf(starting)).toContain("Passing=Unknown/Evaluating");
    expect(names(look({ suite: before, runs: [former, passed] }))).toEqual([NAME]);
  });
});

describe("quiet", () => {
  test("a second look writes nothing", () => {
    const before = evaluated();
    const again = written(before, look({ suite: before, runs: [passed] }), later(60_000));
    expect(again.status).toEqual(before.status);
  });

  test.each([
    ["the bundle is not known", undefined],
    ["it is being made", running()],
  ])("after a restart, while %s, nothing is written and no run deleted", (_, unknown) => {
    const before = evaluated();
    const decision = look({ suite: before, runs: [passed], bundle: unknown });
    expect(written(before, decision, later(60_000)).status).toEqual(before.status);
    expect(names(decision)).toEqual([NAME]);
  });

  test("after a restart a working run is left to work", () => {
    const decision = look({ bundle: undefined, runs: [run({ progress: "3/12" })] });
    expect(names(decision)).toEqual([NAME]);
  });

  test("a prompt that has moved is no restart", () => {
    const moved = prompt({ status: { ...prompt().status, revision: "c".repeat(64) } });
    const decision = look({
      suite: evaluated(),
      runs: [passed],
      bundle: undefined,
      prompts: new Map([["p", moved]]),
    });
    expect(conditionsOf(decision)).toContain("Reconciling=True/Preparing");
  });

  test("nor is an edit of the suite", () => {
    const before = evaluated();
    const edited = { ...before, metadata: { ...before.metadata, generation: 2 } };
    expect(conditionsOf(look({ suite: edited, runs: [passed], bundle: undefined }))).toContain(
      "Reconciling=True/Preparing",
    );
  });
});

test("a suite is made of its judge's revision too", () => {
  const judged = suite({ spec: spec({ judge: { modelRef: { name: "m" } } }) });
  const prepared = (revision: string) =>
    bundleInput(
      judged,
      new Map([["p", prompt()]]),
      new Map([["m", model({ status: { ...model().status, revision } })]]),
    );
  const revisionOf = (of: ReturnType<typeof prepared>) =>
    "input" in of ? of.input.suite.revision : undefined;
  expect(revisionOf(prepared("c".repeat(64)))).toMatch(/^[0-9a-f]{64}$/);
  expect(revisionOf(prepared("c".repeat(64)))).not.toBe(revisionOf(prepared("d".repeat(64))));
});
