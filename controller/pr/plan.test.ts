import { describe, expect, test } from "vitest";
import { assessmentOf, type PullRequestOptions } from "../../test/pull-request.ts";
import {
  deployment,
  prompt,
  REPOSITORY,
  type SuiteOptions,
  suite as suiteOf,
} from "../../test/support-repository.ts";
import type { SideBundle } from "../eval/bundle.ts";
import { planEvaluation } from "./plan.ts";

const suite = (options: SuiteOptions = {}) => suiteOf({ cases: 5, ...options });
const BASE = { ...REPOSITORY, "suite.yaml": suite() };

async function plan({ trusted = true, settings = {}, ...options }: Partial<PullRequestOptions>) {
  const assessment = await assessmentOf({ base: BASE, head: {}, ...options });
  return planEvaluation(assessment, settings, trusted);
}
const changed = { "prompt.yaml": prompt({ skill: 90 }) };
const content = (run: {
  targets: readonly { prompt: { spec: { messages: readonly { content: string }[] } } }[];
}) => run.targets[0]?.prompt.spec.messages[0]?.content;

describe("what is run", () => {
  test("a changed prompt, as the base and the merge result have it", async () => {
    const { runs, notEvaluated } = await plan({ head: changed });
    expect(notEvaluated).toEqual([]);
    expect(runs).toMatchObject([{ suite: "triage", gating: true, via: ["PromptTemplate/triage"] }]);
    expect(content(runs[0]!.base)).toContain("Skill 76");
    expect(content(runs[0]!.head)).toContain("Skill 90");
  });

  test.each([
    ["nothing", {}],
    ["a description", { "prompt.yaml": prompt({ skill: 76, description: "Sorts." }) }],
    ["a price", { "model.yaml": deployment({ priced: false }) }],
    ["a prompt that no suite asks", { "other.yaml": prompt({ skill: 1, name: "other" }) }],
    ["a suite alone", { "suite.yaml": suite({ cases: 3 }) }],
  ])("nothing where the pull request changes %s", async (_, head) => {
    expect(await plan({ head })).toEqual({ runs: [], notEvaluated: [] });
  });

  test("cases, graders, gates and budget of the base, whatever the head says", async () => {
    const lax = suite({
      cases: 3,
      gates: [{ name: "lax", metric: "pass-rate", margin: 1 }],
      spec: { assert: [{ type: "contains", value: "" }], budget: { maxCalls: 1 } },
    });
    const { runs } = await plan({ head: { ...changed, "suite.yaml": lax } });
    expect(runs[0]?.bundle).toMatchObject({
      assert: [{ type: "equals" }],
      gates: [{ name: "right-team", margin: 0.05 }],
      budget: { maxCalls: 20_000 },
    });
    expect(runs[0]?.bundle.cases).toHaveLength(5);
  });

  test("a suite that the head deletes still judges", async () => {
    const { runs } = await plan({ head: { ...changed, "suite.yaml": undefined } });
    expect(runs.map((run) => run.suite)).toEqual(["triage"]);
  });

  test("a suite that only the head has does not judge", async () => {
    const { runs } = await plan({ head: { ...changed, "mine.yaml": suite({ name: "mine", cases: 3 }) } });
    expect(runs.map((run) => run.suite)).toEqual(["triage"]);
  });

  test("the judge of the base; a judge that changes is no reason to run", async () => {
    const base = {
      ...BASE,
      "judge.yaml": deployment({ name: "judge", model: "strict" }),
      "suite.yaml": suite({ spec: { judge: { modelRef: { name: "judge" } } } }),
    };
    const kinder = { "judge.yaml": deployment({ name: "judge", model: "kind" }) };
    expect(await plan({ base, head: kinder })).toEqual({ runs: [], notEvaluated: [] });
    const { runs } = await plan({ base, head: { ...kinder, ...changed } });
    expect(runs[0]?.bundle.judge?.spec.external?.model).toBe("strict");
  });

  test("only the targets that differ", async () => {
    const base = {
      ...BASE,
      "large.yaml": deployment({ name: "large", model: "large-1" }),
      "suite.yaml": suite({
        targets: [
          { name: "small", prompt: "triage" },
          { name: "large", prompt: "triage", model: "large" },
        ],
      }),
    };
    const { runs } = await plan({
      base,
      head: { "large.yaml": deployment({ name: "large", model: "large-2" }) },
    });
    expect(runs[0]?.base.targets.map(({ name }) => name)).toEqual(["large"]);
    expect(runs[0]?.head.targets.map(({ name }) => name)).toEqual(["large"]);
  });
});

describe("what is renamed", () => {
  const lax = { gates: [], spec: { assert: [{ type: "contains", value: "" }] } };
  const renamed = (skill: number) => ({
    "prompt.yaml": prompt({ skill, name: "sorter" }),
    "suite.yaml": suite({ ...lax, cases: 3, targets: [{ name: "triage", prompt: "sorter" }] }),
  });

  test("a prompt is compared with what the suite's target names now, by the base's policy", async () => {
    const { runs, notEvaluated } = await plan({ head: renamed(10) });
    expect(notEvaluated).toEqual([]);
    expect(runs).toHaveLength(1);
    expect(content(runs[0]!.base)).toContain("Skill 76");
    expect(content(runs[0]!.head)).toContain("Skill 10");
    expect(runs[0]!.bundle).toMatchObject({ assert: [{ type: "equals" }], gates: [{ name: "right-team" }] });
    expect(runs[0]!.bundle.cases).toHaveLength(5);
  });

  test("a prompt that is otherwise the same needs no run", async () => {
    expect(await plan({ head: renamed(76) })).toEqual({ runs: [], notEvaluated: [] });
  });

  test("a deployment is compared with what the suite's target names now", async () => {
    const head = {
      "model.yaml": deployment({ name: "tiny", model: "tiny-1" }),
      "suite.yaml": suite({ targets: [{ name: "triage", prompt: "triage", model: "tiny" }] }),
    };
    const { runs } = await plan({ head });
    expect(runs[0]?.head.targets[0]?.model.spec.external?.model).toBe("tiny-1");
  });

  test("retargeting to a good prompt does not hide a bad one that stays", async () => {
    const head = {
      ...renamed(90),
      "prompt.yaml": prompt({ skill: 10 }),
      "new.yaml": prompt({ skill: 90, name: "sorter" }),
    };
    expect(content((await plan({ head })).runs[0]!.head)).toContain("Skill 10");
  });

  test("a target with its prompt is an open question", async () => {
    const head = {
      "prompt.yaml": prompt({ skill: 10, name: "sorter" }),
      "suite.yaml": suite({ targets: [{ name: "sorter", prompt: "sorter" }] }),
    };
    expect((await plan({ head })).notEvaluated).toMatchObject([{ reason: "Removed", settled: false }]);
  });
});

describe("a suite that is renamed together with its prompt", () => {
  const moved = (skill: number, options: SuiteOptions = {}) => ({
    "prompt.yaml": prompt({ skill, name: "sorter" }),
    "suite.yaml": suite({
      name: "sorting",
      gates: [],
      targets: [{ name: "triage", prompt: "sorter" }],
      ...options,
    }),
  });

  test("is known by its cases, and judges by the base's policy", async () => {
    const { runs, notEvaluated } = await plan({ head: moved(10) });
    expect(notEvaluated).toEqual([]);
    expect(runs).toMatchObject([
      { suite: "triage", gating: true, bundle: { gates: [{ name: "right-team" }] } },
    ]);
    expect(content(runs[0]!.base)).toContain("Skill 76");
    expect(content(runs[0]!.head)).toContain("Skill 10");
  });

  test("needs no run where the prompt behaves as before", async () => {
    expect(await plan({ head: moved(76) })).toEqual({ runs: [], notEvaluated: [] });
    expect(await plan({ head: moved(76, { cases: 3 }) })).toEqual({ runs: [], notEvaluated: [] });
  });

  test.each([
    ["has other cases", moved(10, { cases: 3 })],
    [
      "is not in the pull request at all",
      { "suite.yaml": undefined, "prompt.yaml": prompt({ skill: 10, name: "sorter" }) },
    ],
    ["calls its target otherwise", moved(10, { targets: [{ name: "sorter", prompt: "sorter" }] })],
  ])("is an open question where it %s", async (_, head) => {
    const { runs, notEvaluated } = await plan({ head });
    expect(runs).toEqual([]);
    expect(notEvaluated).toMatchObject([
      { suite: "triage", gating: true, reason: "Removed", settled: false },
    ]);
    expect(notEvaluated[0]?.message).toContain("PromptTemplate/sorter may take its place");
  });

  test("leaves a deployment no way around either", async () => {
    const head = {
      "model.yaml": deployment({ name: "tiny", model: "tiny-1" }),
      "suite.yaml": suite({
        name: "sorting",
        targets: [{ name: "triage", prompt: "triage", model: "tiny" }],
      }),
    };
    expect((await plan({ head })).runs[0]?.head.targets[0]?.model.spec.external?.model).toBe("tiny-1");
  });
});

describe("a ConfigMap that another prompt publishes", () => {
  const base = { ...BASE, "prompt.yaml": prompt({ skill: 76, configMap: "live" }) };
  const found = [{ suite: "ConfigMap live", gating: true, reason: "Republished" }];
  const taken = (skill: number) => ({
    "prompt.yaml": prompt({ skill: 76 }),
    "new.yaml": prompt({ skill, name: "new", configMap: "live" }),
  });

  test("is an open question", async () => {
    const { runs, notEvaluated } = await plan({ base, head: taken(10) });
    expect(runs).toEqual([]);
    expect(notEvaluated).toMatchObject(found);
    expect(notEvaluated[0]?.message).toContain("PromptTemplate/new takes the place of PromptTemplate/triage");
  });

  test("also where both prompts were there before", async () => {
    const two = { ...base, "new.yaml": prompt({ skill: 10, name: "new" }) };
    expect((await plan({ base: two, head: taken(10) })).notEvaluated).toMatchObject(found);
  });

  test("also beside the former one", async () => {
    const head = { "new.yaml": prompt({ skill: 10, name: "new", configMap: "live" }) };
    expect((await plan({ base, head })).notEvaluated).toMatchObject(found);
  });

  test("decides nothing where no suite decides about the former one", async () => {
    const settings = { requiredSuites: [] };
    expect((await plan({ base, head: taken(10), settings })).notEvaluated).toMatchObject([{ gating: false }]);
  });

  test("is none where the prompt keeps its name, behaves the same, or the suite's target was compared", async () => {
    expect(
      (await plan({ base, head: { "prompt.yaml": prompt({ skill: 10, configMap: "live" }) } })).notEvaluated,
    ).toEqual([]);
    expect((await plan({ base, head: taken(76) })).notEvaluated).toEqual([]);
    const renamed = {
      ...taken(10),
      "prompt.yaml": undefined,
      "suite.yaml": suite({ targets: [{ name: "triage", prompt: "new" }] }),
    };
    const { runs, notEvaluated } = await plan({ base, head: renamed });
    expect(runs).toHaveLength(1);
    expect(notEvaluated).toEqual([]);
  });

  test("is none where the name is new", async () => {
    const head = { "new.yaml": prompt({ skill: 10, name: "new", configMap: "other" }) };
    expect((await plan({ base, head })).notEvaluated).toEqual([]);
  });
});

describe("what decides", () => {
  test.each([
    [undefined, true],
    [["triage"], true],
    [["other"], false],
    [[], false],
  ])("with requiredSuites %j: %s", async (requiredSuites, gating) => {
    const settings = requiredSuites === undefined ? {} : { requiredSuites };
    expect((await plan({ head: changed, settings })).runs[0]?.gating).toBe(gating);
    const { notEvaluated } = await plan({ head: changed, settings, trusted: false });
    expect(notEvaluated.find(({ suite: name }) => name === "triage")?.gating).toBe(gating);
  });

  const required = { requiredSuites: ["triage", "tone"] };
  const missing = (suite: string) => [{ suite, gating: true, reason: "Missing" }];

  test("a required suite that the base lacks is an open question, also where the head brings it", async () => {
    expect((await plan({ head: changed, settings: required })).notEvaluated).toMatchObject(missing("tone"));
    const head = { ...changed, "tone.yaml": suite({ name: "tone" }) };
    expect((await plan({ head, settings: required })).notEvaluated).toMatchObject(missing("tone"));
  });

  test("a required suite that the base lacks can be added, and stops nothing that needs no suite", async () => {
    const added = { "tone.yaml": suite({ name: "tone" }) };
    expect((await plan({ head: added, settings: required })).notEvaluated).toEqual([]);
    expect((await plan({ head: {}, settings: required })).notEvaluated).toEqual([]);
  });

  test("a required suite that is invalid on the base is said to be so, once", async () => {
    const base = { ...BASE, "suite.yaml": suite().replace('"targets"', '"target"') };
    const settings = { requiredSuites: ["triage"] };
    expect((await plan({ base, head: changed, settings })).notEvaluated).toMatchObject([
      { reason: "Invalid" },
    ]);
  });

  test("a required suite that the pull request removes is an open question", async () => {
    const head = { "suite.yaml": undefined };
    const settings = { requiredSuites: ["triage"] };
    expect((await plan({ head, settings })).notEvaluated).toMatchObject(missing("triage"));
    expect((await plan({ head })).notEvaluated).toEqual([]);
  });
});

describe("what is not run, and why", () => {
  test("a fork without approval: nothing, but a change that touches nothing needs none", async () => {
    expect(await plan({ head: changed, trusted: false })).toMatchObject({
      runs: [],
      notEvaluated: [{ suite: "triage", reason: "Fork" }],
    });
    expect(await plan({ head: {}, trusted: false })).toEqual({ runs: [], notEvaluated: [] });
  });

  test("a suspended suite, if the base suspends it", async () => {
    const base = { ...BASE, "suite.yaml": suite({ spec: { suspend: true } }) };
    expect(await plan({ base, head: changed })).toMatchObject({
      runs: [],
      notEvaluated: [{ reason: "Suspended" }],
    });
    const head = { ...changed, "suite.yaml": suite({ spec: { suspend: true } }) };
    expect((await plan({ head })).runs).toHaveLength(1);
  });

  test("a prompt that is invalid in the head", async () => {
    const head = { "prompt.yaml": prompt({ skill: 90 }).replace("{{ticket}}", "{{nothing}}") };
    expect(await plan({ head })).toMatchObject({ runs: [], notEvaluated: [{ reason: "Invalid" }] });
  });

  test("a prompt in a file that cannot be read is not taken for removed", async () => {
    const head = { "prompt.yaml": prompt({ skill: 90 }).slice(0, -9) };
    expect(await plan({ head })).toMatchObject({ runs: [], notEvaluated: [{ reason: "Invalid" }] });
  });

  test("a prompt that is removed", async () => {
    const { runs, notEvaluated } = await plan({
      head: { "prompt.yaml": undefined, "suite.yaml": undefined },
    });
    expect(runs).toEqual([]);
    expect(notEvaluated).toMatchObject([
      { reason: "Removed", settled: true, message: "PromptTemplate/triage is removed by the pull request" },
    ]);
  });

  test("a prompt that is removed while the suite keeps the target is an open question", async () => {
    const head = { "prompt.yaml": undefined };
    expect(await plan({ head })).toMatchObject({ runs: [], notEvaluated: [{ suite: "triage" }] });
    expect((await plan({ head })).notEvaluated[0]?.settled).not.toBe(true);
  });

  test("one target's prompt that is removed leaves the others", async () => {
    const targets = [
      { name: "one", prompt: "triage" },
      { name: "two", prompt: "other" },
    ];
    const base = {
      ...BASE,
      "other.yaml": prompt({ skill: 1, name: "other" }),
      "suite.yaml": suite({ targets }),
    };
    const head = { ...changed, "other.yaml": undefined, "suite.yaml": suite({ targets: [targets[0]!] }) };
    const { runs, notEvaluated } = await plan({ base, head });
    expect(notEvaluated).toMatchObject([{ reason: "Removed", settled: true }]);
    expect(runs[0]?.head.targets.map(({ name }) => name)).toEqual(["one"]);
    expect(runs[0]?.base.targets.map(({ name }) => name)).toEqual(["one"]);
  });

  test("a target that the base lacks", async () => {
    const base = { ...BASE, "model.yaml": "" };
    expect(await plan({ base, head: changed })).toMatchObject({ notEvaluated: [{ reason: "Unresolved" }] });
  });

  test("a suite that is invalid on the base, which might have judged", async () => {
    const base = { ...BASE, "suite.yaml": suite().replace('"targets"', '"target"') };
    expect(await plan({ base, head: changed })).toMatchObject({
      runs: [],
      notEvaluated: [{ suite: "triage", reason: "Invalid" }],
    });
    // Mending it is no change that it would judge.
    expect(await plan({ base, head: { "suite.yaml": suite() } })).toEqual({ runs: [], notEvaluated: [] });
  });
});

describe("the hosts that a deployment may be asked at", () => {
  const moved = (host: string) => ({ "model.yaml": deployment({ host, model: "small-2" }) });

  test.each([
    ["the base's own", "https://models.example.com/v2", {}, true],
    ["the base's own, port written out", "https://models.example.com:443/v1", {}, true],
    ["another port", "https://models.example.com:8443/v1", {}, false],
    ["without TLS", "http://models.example.com/v1", {}, false],
    ["a name that ends alike", "https://evilmodels.example.com/v1", {}, false],
    ["a name that begins alike", "https://models.example.com.evil.test/v1", {}, false],
    ["the metadata service", "http://169.254.169.254/latest", {}, false],
    ["a host that policy allows", "https://new.example.com/v1", { allowedHosts: ["new.example.com"] }, true],
    ["a wildcard", "https://eu.example.org/v1", { allowedHosts: ["*.example.org"] }, true],
    ["two labels for a wildcard", "https://a.eu.example.org/v1", { allowedHosts: ["*.example.org"] }, false],
  ])("%s", async (_, host, settings, allowed) => {
    const { runs, notEvaluated } = await plan({ head: moved(host), settings });
    expect(runs).toHaveLength(allowed ? 1 : 0);
    expect(notEvaluated.map(({ reason }) => reason)).toEqual(allowed ? [] : ["HostNotAllowed"]);
  });

  test("a new host with the old key: no run is planned, so nothing is sent", async () => {
    const { runs, notEvaluated } = await plan({ head: moved("https://collector.evil.test/v1") });
    expect(runs).toEqual([]);
    expect(notEvaluated[0]?.message).toContain("collector.evil.test");
    expect(notEvaluated[0]?.message).toContain("Nothing was sent there, no key either");
  });

  test("a host that only the head's policy would allow is not", async () => {
    const head = {
      ...moved("https://new.example.com/v1"),
      "extra.yaml": deployment({ name: "extra", host: "https://new.example.com/v1" }),
    };
    expect((await plan({ head })).notEvaluated).toMatchObject([{ reason: "HostNotAllowed" }]);
  });

  test("the base's address is never in question", async () => {
    const base = { ...BASE, "model.yaml": deployment({ host: "http://Models.internal.:8000/v1" }) };
    expect((await plan({ base, head: changed })).runs).toHaveLength(1);
  });
});

test("a deployment in the cluster is not asked before it is merged, and what decides instead is said", async () => {
  const inCluster = (args: string) => `apiVersion: slipway.dev/v1alpha1
kind: ModelDeployment
metadata: { name: small }
spec:
  type: InCluster
  inCluster: { runtime: Custom, image: "example.com/server:1", args: ["${args}"] }
`;
  const base = { ...BASE, "model.yaml": inCluster("--one") };
  const { runs, notEvaluated } = await plan({ base, head: { ...base, "model.yaml": inCluster("--two") } });
  expect(runs).toEqual([]);
  expect(notEvaluated).toMatchObject([{ reason: "InCluster" }]);
  expect(notEvaluated[0]?.message).toContain("rollout.gates");
  // Its own gates say nothing of a prompt.
  const prompted = await plan({ base, head: { ...base, ...changed } });
  expect(prompted.notEvaluated).toMatchObject([{ reason: "InCluster" }]);
  expect(prompted.notEvaluated[0]?.message).toContain("runs on it after the merge");
});

describe("the budget", () => {
  const two = { ...BASE, "second.yaml": suite({ name: "second", cases: 3 }) };
  const costs = async (options: Partial<PullRequestOptions>) =>
    (await plan(options)).runs.map(({ bundle }) => bundle.budget.maxCost);

  test("is the suite's where the pull request has none", async () => {
    expect(await costs({ head: changed })).toEqual([undefined]);
  });

  test.each([
    ["0.57", ["0.285000", "0.285000"]],
    ["1", ["0.500000", "0.500000"]],
    ["0.000001", ["0.000000", "0.000000"]],
  ])("of %s is shared among the runs", async (total, shares) => {
    expect(await costs({ base: two, head: changed, settings: { maxCostPerPullRequest: total } })).toEqual(
      shares,
    );
  });

  test("is not shared with suites that are not run", async () => {
    const base = { ...two, "second.yaml": suite({ name: "second", spec: { suspend: true } }) };
    expect(await costs({ base, head: changed, settings: { maxCostPerPullRequest: "0.57" } })).toEqual([
      "0.570000",
    ]);
  });

  test.each([
    ["0.1", "0.1"],
    ["0.9", "0.500000"],
  ])("of a suite that allows %s is %s of 0.50", async (own, expected) => {
    const base = { ...BASE, "suite.yaml": suite({ spec: { budget: { maxCost: own } } }) };
    expect(await costs({ base, head: changed, settings: { maxCostPerPullRequest: "0.5" } })).toEqual([
      expected,
    ]);
  });
});

describe("the price", () => {
  const cheap = (options: Parameters<typeof deployment>[0] = {}) =>
    deployment({ timeout: "1s", ...options }).replace('"0.60"', '"0.01"');
  const external = (side: SideBundle) => side.targets[0]?.model.spec.external;
  const capped = { maxCostPerPullRequest: "1" };

  test("of a deployment that behaves the same is the base's, and so is its timeout", async () => {
    const head = { ...changed, "model.yaml": cheap() };
    const { runs } = await plan({ head, settings: capped });
    expect(external(runs[0]!.head)).toEqual(external(runs[0]!.base));
    expect(external(runs[0]!.head)?.pricing?.outputPerMillionTokens).toBe("0.60");
    expect(runs[0]!.headPrices).toEqual([]);
  });

  test("cannot be brought along where the base has none", async () => {
    const base = { ...BASE, "model.yaml": deployment({ priced: false }) };
    const { runs } = await plan({ base, head: { ...changed, "model.yaml": cheap() } });
    expect(external(runs[0]!.head)).not.toHaveProperty("pricing");
  });

  test("of a renamed deployment is the base's", async () => {
    const targets = [{ name: "triage", prompt: "triage", model: "tiny" }];
    const head = { ...changed, "model.yaml": cheap({ name: "tiny" }), "suite.yaml": suite({ targets }) };
    const { runs } = await plan({ head, settings: capped });
    expect(runs[0]!.head.targets[0]?.model.name).toBe("tiny");
    expect(external(runs[0]!.head)?.pricing?.outputPerMillionTokens).toBe("0.60");
    expect(runs[0]!.headPrices).toEqual([]);
  });

  const changedModel = { "model.yaml": cheap({ model: "small-2" }) };
  test.each([
    ["a cap of the pull request", capped, {}],
    ["a cap of the suite", {}, { spec: { budget: { maxCost: "1" } } }],
    ["a gate", {}, { gates: [{ name: "cost", metric: "cost", max: 1 }] }],
    ["a grader", {}, { spec: { assert: [{ type: "cost", threshold: 1 }] } }],
  ])("of a changed deployment is the head's, which is said where it counts: %s", async (_, settings, own) => {
    const base = { ...BASE, "suite.yaml": suite(own) };
    const { runs } = await plan({ base, head: changedModel, settings });
    expect(external(runs[0]!.head)?.pricing?.outputPerMillionTokens).toBe("0.01");
    expect(runs[0]!.headPrices).toEqual(["small"]);
  });

  test("of a changed deployment is not worth a word where nothing counts with it", async () => {
    expect((await plan({ head: changedModel })).runs[0]!.headPrices).toEqual([]);
  });
});

test("a conflict plans nothing", async () => {
  expect(await plan({ head: changed, conflicts: ["prompt.yaml"] })).toEqual({ runs: [], notEvaluated: [] });
});
