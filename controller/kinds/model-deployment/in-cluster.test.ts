import { describe, expect, test } from "vitest";
import { type EvalSuite, evalSuiteSpec } from "../../../schemas/eval-suite.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { InClusterWorld } from "../../../test/in-cluster-world.ts";
import { conditionsOf, object, readyConditions } from "../../../test/kind-objects.ts";
import { digestOf } from "../../graph/canonical.ts";
import type { EffectRequest } from "../../runtime/kind.ts";

const custom = { runtime: "Custom", image: "example.com/server:1", replicas: 2 };
const gated = { ...custom, rollout: { gates: [{ suiteRef: { name: "quality" } }] } };
const suite = object<EvalSuite>("EvalSuite", {
  metadata: { name: "quality" },
  spec: evalSuiteSpec.parse({
    targets: [{ name: "t", promptRef: { name: "p" }, modelRef: { name: "triage" } }],
    cases: { inline: [{ id: "1", expected: "yes" }] },
    gates: [{ name: "good", metric: "pass-rate", min: 0.5 }],
  }),
});
const ready = [
  { type: "Ready", status: "True" as const, reason: "Compiled", message: "", lastTransitionTime: "" },
];
const prompt = object<PromptTemplate>("PromptTemplate", {
  metadata: { name: "p" },
  spec: { messages: [{ role: "user", content: "q" }], variables: [] } as never,
  status: { observedGeneration: 1, revision: "b".repeat(64), conditions: ready },
});
const hex = (text: string) => Buffer.from(text).toString("hex").padEnd(64, "0").slice(0, 64);

/** Effects as they are when everything works. */
function works({ name, input }: EffectRequest) {
  if (name !== "bundle") return { ok: true, message: "triage answers" };
  const { models } = input as { models: Record<string, { revision: string }> };
  const revision = models.triage?.revision ?? "";
  const side = `sha256:${digestOf(models)}`;
  return { suite: `sha256:${hex("suite")}`, side, sideRevision: revision, cases: 1 };
}

function world(inCluster: Record<string, unknown> = gated): InClusterWorld {
  const made = new InClusterWorld(inCluster);
  made.answers = works;
  made.observed = { suites: new Map([["quality", suite]]), prompts: new Map([["p", prompt]]) };
  return made;
}

/** Edits to what does not start. @returns the name of its Deployment */
function editToBroken(cluster: InClusterWorld, inCluster: Record<string, unknown>): string {
  const known = new Set(Object.keys(cluster.pods));
  cluster.edit(inCluster);
  cluster.step();
  const name = Object.keys(cluster.pods).find((each) => !known.has(each)) ?? "";
  cluster.broken.add(name);
  return name;
}

/** The same until its time is over. */
function editToStopped(cluster: InClusterWorld, inCluster: Record<string, unknown>): string {
  const name = editToBroken(cluster, inCluster);
  cluster.exhausted.add(name);
  cluster.settle();
  return name;
}

function mend(cluster: InClusterWorld): void {
  cluster.broken.clear();
  cluster.exhausted.clear();
}

function askAgain(cluster: InClusterWorld): void {
  const { metadata } = cluster.deployment;
  const annotations = { "slipway.dev/requestedAt": "1" };
  cluster.deployment = { ...cluster.deployment, metadata: { ...metadata, annotations } };
}

describe("a first revision", () => {
  test("comes up, is judged, and only then has a Service for clients", () => {
    const cluster = world();
    cluster.verdict = () => undefined;
    cluster.settle();
    expect(cluster.selected).toBeUndefined();
    expect(cluster.deployment.status?.rollout).toMatchObject({ phase: "Evaluating", reason: "Evaluating" });
    const [run] = cluster.of("EvalRun");
    expect(run?.spec).toMatchObject({ trigger: "Rollout", suite: { name: "quality" } });
    expect(run?.spec).not.toHaveProperty("base");
    cluster.verdict = () => ({ verdict: "Pass", passed: true });
    cluster.step();
    expect(conditionsOf(cluster.settle())).toEqual([
      ...readyConditions("EndpointAnswers"),
      "Available=True/EndpointAnswers",
    ]);
    expect(cluster.deployment.status).toMatchObject({
      replicas: { desired: 2, current: 2, ready: 2 },
      endpoint: { url: "http://triage.team.svc/v1", model: "triage" },
      revision: cluster.deployment.status?.active,
    });
    expect(cluster.deployment.status?.rollout).toBeUndefined();
  });

  test("that fails its gate gets no pods and no Service", () => {
    const cluster = world();
    cluster.verdict = () => ({ verdict: "Fail", passed: false });
    const decision = cluster.settle();
    expect(Object.values(cluster.pods)).toEqual([0]);
    expect(cluster.selected).toBeUndefined();
    expect(conditionsOf(decision)).toEqual([
      "Ready=False/RolloutBlocked",
      "Stalled=True/RolloutBlocked",
      "RolloutBlocked=True/GateFailed",
    ]);
    expect(decision.events?.[0]).toMatchObject({ type: "Warning", reason: "RolloutBlocked" });
  });
});

describe("a change", () => {
  function serving(): InClusterWorld {
    const cluster = world();
    cluster.settle();
    return cluster;
  }

  test("of what it answers is another revision, compared with the one that serves", () => {
    const cluster = serving();
    const before = cluster.selected;
    const { active } = cluster.deployment.status ?? {};
    cluster.verdict = () => undefined;
    cluster.edit({ args: ["--better"] });
    cluster.settle();
    expect(cluster.selected).toBe(before);
    expect(Object.values(cluster.pods)).toEqual([2, 2]);
    const run = cluster.of("EvalRun").find(({ spec }) => (spec as { base?: unknown }).base);
    expect(run?.spec).toMatchObject({ base: { revision: active } });
    cluster.verdict = () => ({ verdict: "Pass", passed: true });
    cluster.settle();
    expect(cluster.selected).not.toBe(before);
    // The old one is kept while requests may be under way, and goes without anything else happening.
    expect(Object.keys(cluster.pods)).toHaveLength(2);
    cluster.now += 70_000;
    cluster.settle();
    expect(Object.keys(cluster.pods)).toHaveLength(1);
    expect(cluster.of("Service")).toHaveLength(2);
  });

  test("to something bad changes nothing for clients, and Available says so", () => {
    const cluster = serving();
    const before = cluster.selected;
    cluster.verdict = () => ({ verdict: "Fail", passed: false });
    cluster.edit({ args: ["--worse"] });
    const decision = cluster.settle();
    expect(cluster.selected).toBe(before);
    expect(Object.values(cluster.pods).sort()).toEqual([0, 2]);
    expect(conditionsOf(decision)).toContain("Available=True/EndpointAnswers");
    expect(cluster.deployment.status?.rollout).toMatchObject({ phase: "Blocked", reason: "GateFailed" });
    // It stays so over restarts, and until something changes.
    cluster.restart();
    for (let i = 0; i < 5; i++) {
      cluster.step();
      expect(Object.values(cluster.pods).sort()).toEqual([0, 2]);
    }
    cluster.edit({ args: [] });
    cluster.settle();
    cluster.now += 70_000;
    cluster.settle();
    expect(cluster.selected).toBe(before);
    expect(Object.values(cluster.pods)).toEqual([2]);
  });

  test("that cannot start is stopped when its time is over, and tried again when somebody asks", () => {
    const cluster = serving();
    const name = editToStopped(cluster, { args: ["--crash"] });
    expect(cluster.deployment.status?.rollout).toMatchObject({ phase: "Blocked", reason: "StartupTimeout" });
    expect(cluster.pods[name]).toBe(0);
    mend(cluster);
    cluster.settle();
    expect(cluster.pods[name]).toBe(0);
    // An autoscaler moves what serves, and mends nothing.
    cluster.edit({ replicas: 3 });
    cluster.settle();
    expect(Object.values(cluster.pods).sort()).toEqual([0, 3]);
    cluster.edit({ replicas: 2 });
    askAgain(cluster);
    cluster.settle();
    expect(conditionsOf(cluster.settle())).toContain("Ready=True/EndpointAnswers");
    expect(cluster.pods[name]).toBe(2);
  });

  test("of the time to start tries a stopped revision again", () => {
    const cluster = serving();
    const name = editToStopped(cluster, { args: ["--slow"] });
    expect(cluster.pods[name]).toBe(0);
    mend(cluster);
    cluster.edit({ startupTimeout: "1h" });
    cluster.settle();
    expect(cluster.pods[name]).toBe(2);
  });

  test("that is tried again has its time to start again, without the Deployment's own deadline", () => {
    const cluster = serving();
    const name = editToBroken(cluster, { args: ["--slow"], startupTimeout: "10m" });
    const label = cluster.children.get(`Deployment/${name}`)?.metadata.labels ?? {};
    const creationTimestamp = new Date(cluster.now).toISOString();
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `${name}-1`, labels: label, creationTimestamp },
    };
    cluster.observed = { ...cluster.observed, pods: [pod] };
    expect(cluster.settle().requeueAfterMs).toBeLessThanOrEqual(600_000);
    cluster.now += 599_000;
    cluster.settle();
    expect(cluster.deployment.status?.rollout?.phase).toBe("Starting");
    cluster.now += 1_000;
    cluster.settle();
    expect(cluster.deployment.status?.rollout).toMatchObject({ phase: "Blocked", reason: "StartupTimeout" });
  });

  test("of replicas while a revision is judged does not begin the judgement anew", () => {
    const cluster = serving();
    cluster.verdict = () => undefined;
    cluster.edit({ args: ["--next"] });
    cluster.settle();
    const names = () => cluster.of("EvalRun").map(({ metadata }) => metadata.name);
    const before = names();
    expect(before).toHaveLength(1);
    cluster.edit({ replicas: 3 });
    cluster.settle();
    expect(names()).toEqual(before);
    expect(cluster.deployment.status?.rollout?.phase).toBe("Evaluating");
  });

  test("of replicas is no other revision", () => {
    const cluster = serving();
    const { revision } = cluster.deployment.status ?? {};
    cluster.edit({ replicas: 5 });
    cluster.settle();
    expect(Object.values(cluster.pods)).toEqual([5]);
    expect(cluster.deployment.status).toMatchObject({ revision, replicas: { desired: 5, ready: 5 } });
    expect(cluster.deployment.status?.selector).toContain("slipway.dev/owner-uid=uid-ModelDeployment");
  });
});

test("a crash after any write leads to the same end, and never to a Service on what has not passed", () => {
  const ends = new Set<string>();
  for (let crashAt = 0; crashAt < 12; crashAt++) {
    const cluster = world();
    cluster.settle();
    const old = cluster.selected;
    cluster.edit({ args: ["--next"] });
    for (let i = 0; i < 8; i++) {
      cluster.step(crashAt);
      cluster.restart();
      const judged = cluster.of("EvalRun").some(({ spec }) => (spec as { base?: unknown }).base);
      if (!judged) expect(cluster.selected).toBe(old);
    }
    cluster.settle();
    cluster.now += 70_000;
    cluster.settle();
    ends.add(JSON.stringify([cluster.pods, cluster.selected]));
  }
  expect(ends.size).toBe(1);
});

describe("quiet", () => {
  test("a restart writes nothing", () => {
    const cluster = world();
    cluster.settle();
    const status = JSON.stringify(cluster.deployment.status);
    const children = JSON.stringify([...cluster.children]);
    cluster.restart();
    for (let i = 0; i < 4; i++) {
      cluster.step();
      expect(JSON.stringify(cluster.deployment.status)).toBe(status);
      expect(JSON.stringify([...cluster.children])).toBe(children);
    }
  });
});

describe("truth", () => {
  test.each([
    [
      "no pod is ready",
      "NoPodReady",
      (cluster: InClusterWorld) => Object.keys(cluster.pods).forEach((name) => void cluster.broken.add(name)),
    ],
    ["nothing was asked for", "ScaledToZero", (cluster: InClusterWorld) => cluster.edit({ replicas: 0 })],
  ])("not Ready when %s", (_, reason, spoil) => {
    const cluster = world();
    cluster.settle();
    spoil(cluster);
    const decision = cluster.settle();
    expect(conditionsOf(decision)).toEqual([
      `Ready=False/${reason}`,
      `Reconciling=True/${reason}`,
      `Available=False/${reason}`,
    ]);
  });

  test("not Ready when its Service does not answer for the model", () => {
    const cluster = world();
    cluster.settle();
    cluster.answers = () => ({
      ok: false,
      reason: "ModelNotFound",
      message: "it lists other",
      terminal: false,
    });
    cluster.now += 60_000;
    expect(conditionsOf(cluster.settle())).toEqual([
      "Ready=False/ModelNotFound",
      "Reconciling=True/ModelNotFound",
      "Available=False/ModelNotFound",
    ]);
  });
});

test.each([
  ["that needs a GPU", { runtime: "VLLM" }, /needs a GPU and gpu is not set: .*; pod p: .*: no device$/],
  ["with a GPU", { runtime: "VLLM", gpu: { count: 1 } }, /^revision \w+: pod p: .*: no device$/],
  [
    "with an image of its own",
    { runtime: "TGI", image: "tgi-cpu:1" },
    /^revision \w+: pod p: .*: no device$/,
  ],
  ["that runs on a CPU", { runtime: "Transformers" }, /^revision \w+: pod p: .*: no device$/],
])("a crash of a server %s is said with what is most likely behind it", (_, spec, expected) => {
  const cluster = new InClusterWorld({ model: { source: "pvc://models/llama" }, ...spec });
  cluster.step();
  const [made] = cluster.of("Deployment");
  cluster.broken.add(made!.metadata.name);
  const metadata = { name: "p", labels: made!.metadata.labels ?? {} };
  const containerStatuses = [
    { name: "server", state: { terminated: { exitCode: 1, message: "no device" } } },
  ];
  const pod = { apiVersion: "v1", kind: "Pod", metadata, status: { containerStatuses } };
  cluster.observed = { pods: [pod] };
  const decision = cluster.settle();
  expect(conditionsOf(decision)).toContain("Ready=False/ServerCrashed");
  expect(decision.status.conditions?.[0]?.message).toMatch(expected);
});

test("where the base answers for each adapter, no revision serves, and one that did is not Available", () => {
  const artifact = `artifact:sha256:${"b".repeat(64)}`;
  const spec = { runtime: "SGLang", model: { source: artifact } };
  const cluster = world(spec);
  const ignores = ({ input }: EffectRequest) =>
    (input as { absent?: string }).absent === "triage:_none_"
      ? { ok: false, reason: "AdapterIgnored", message: "the base would answer", terminal: false }
      : { ok: true, message: "triage answers" };
  cluster.answers = ignores;
  cluster.settle();
  const before = cluster.selected;
  expect(before).toBeDefined();
  cluster.edit({ adapters: [{ name: "sql", source: artifact }] });
  expect(conditionsOf(cluster.settle())).toEqual([
    "Ready=False/RolloutBlocked",
    "Stalled=True/RolloutBlocked",
    "RolloutBlocked=True/AdapterIgnored",
    "Available=True/EndpointAnswers",
  ]);
  expect(cluster.selected).toBe(before);
  // It holds no GPU beside the one that serves, and is not asked again and again.
  expect(Object.values(cluster.pods).toSorted()).toEqual([0, 1]);
  cluster.answers = works;
  cluster.edit({ image: "lmsysorg/sglang:v0.5.5" });
  cluster.settle();
  expect(cluster.selected).not.toBe(before);
  cluster.answers = ignores;
  cluster.now += 60_000;
  expect(conditionsOf(cluster.settle())).toContain("Available=False/AdapterIgnored");
});

describe("what it is made from", () => {
  const hub = { ...custom, runtime: "Transformers", model: { source: "hf://org/model@main" } };
  const commit = "a".repeat(40);
  const lookedUp = (of: string) => [
    { name: "model", source: "hf://org/model@main", resolved: `hf://org/model@${of}` },
  ];

  test("a name is looked up once and stays what it was, until somebody asks", () => {
    const cluster = world(hub);
    let found = lookedUp(commit);
    cluster.answers = (request) => (request.name === "resolve" ? found : works(request));
    cluster.settle();
    expect(cluster.deployment.status?.resolved).toEqual(found);
    const { revision } = cluster.deployment.status ?? {};
    found = lookedUp("c".repeat(40));
    cluster.restart();
    cluster.settle();
    expect(cluster.deployment.status?.revision).toBe(revision);
    askAgain(cluster);
    cluster.settle();
    expect(cluster.deployment.status?.resolved).toEqual(found);
    expect(cluster.deployment.status?.revision).not.toBe(revision);
  });

  test("a request for another look outlives the process that took it", () => {
    const cluster = world(hub);
    let found: object = lookedUp(commit);
    cluster.answers = (request) => (request.name === "resolve" ? found : works(request));
    cluster.settle();
    askAgain(cluster);
    found = Object.assign(new Error("away"), { name: "SourceUnavailable" });
    cluster.step();
    expect(cluster.deployment.status?.lastHandledRequestedAt).toBe("1");
    cluster.restart();
    found = lookedUp("c".repeat(40));
    cluster.settle();
    expect(cluster.deployment.status?.resolved).toEqual(found);
  });

  test("the same name on two servers is two things", () => {
    const source = "hf://org/model@main";
    const cluster = world({
      ...hub,
      model: { source },
      adapters: [{ name: "tone", source, endpoint: "https://hub.example.com" }],
    });
    const found = [
      ...lookedUp(commit),
      { name: "tone", source, resolved: `hf://org/model@${"c".repeat(40)}` },
    ];
    cluster.answers = (request) => (request.name === "resolve" ? found : works(request));
    cluster.settle();
    const pods = () => JSON.stringify(cluster.of("Deployment"));
    const before = pods();
    for (const { resolved } of found) expect(before).toContain(resolved);
    cluster.restart();
    cluster.settle();
    expect(pods()).toBe(before);
    expect(cluster.deployment.status?.resolved).toEqual(found);
  });

  test("what Recreate has stopped stays so while sources are looked up again", () => {
    const cluster = world({ ...hub, rollout: { strategy: "Recreate" } });
    let found: object = lookedUp(commit);
    cluster.answers = (request) => (request.name === "resolve" ? found : works(request));
    cluster.settle();
    const [old = ""] = Object.keys(cluster.pods);
    const next = editToBroken(cluster, { args: ["--slow"] });
    cluster.settle();
    const during = { [old]: 0, [next]: 2 };
    expect(cluster.pods).toEqual(during);
    found = Object.assign(new Error("away"), { name: "SourceUnavailable" });
    askAgain(cluster);
    expect(conditionsOf(cluster.settle())).toContain("Ready=False/SourceUnavailable");
    expect(cluster.pods).toEqual(during);
  });

  test("a cache that the spec has no more stays while what serves is made with it", () => {
    const cluster = world({ ...hub, model: { source: `hf://org/model@${commit}` }, cache: { size: "1Gi" } });
    cluster.settle();
    const claims = () => cluster.of("PersistentVolumeClaim").length;
    editToStopped(cluster, { cache: undefined, args: ["--crash"] });
    expect([cluster.deployment.status?.rollout?.phase, claims()]).toEqual(["Blocked", 1]);
    cluster.edit({ args: [] });
    cluster.settle();
    expect([cluster.deployment.status?.rollout, claims()]).toEqual([undefined, 0]);
  });

  test("what cannot be looked up is said, and what serves goes on", () => {
    const cluster = world(hub);
    cluster.answers = (request) =>
      request.name === "resolve"
        ? Object.assign(new Error("gone"), { name: "SourceNotFound" })
        : works(request);
    expect(conditionsOf(cluster.settle())).toContain("Ready=False/SourceNotFound");
    expect(cluster.children.size).toBe(0);
  });

  test("an artifact needs a token, which is made before the pods", () => {
    const source = `artifact:sha256:${"d".repeat(64)}`;
    const cluster = world({ ...hub, model: { source } });
    const first = cluster.step();
    expect(first.children).toEqual([]);
    expect(first.effects[0]).toMatchObject({
      name: "admit",
      input: { token: { claims: { read: [`sha256:${"d".repeat(64)}`], write: false } } },
    });
    cluster.settle();
    const [pods] = cluster.of("Deployment");
    expect(JSON.stringify(pods)).toContain('"fetch"');
    // A Secret of a former state folder is made anew with its Deployment.
    cluster.restart();
    cluster.children.delete(`Deployment/${pods?.metadata.name}`);
    expect(cluster.step().effects.map(({ name }) => name)).toContain("admit");
    const other = world({ ...hub, model: { source } });
    other.observed = { workUrl: undefined };
    expect(conditionsOf(other.settle())).toContain("Stalled=True/NoWorkUrl");
  });

  test("a FineTuneJob's output names the revision, and its absence stops nothing that serves", () => {
    const job = (digest: string) => ({
      metadata: { name: "lora" },
      spec: { baseModel: { source: "hf://org/base" } },
      status: {
        artifact: { digest: `sha256:${digest.repeat(64)}`, type: "adapter" as const },
        base: { source: "hf://org/base", resolved: `hf:org/base@${commit}` },
      },
    });
    const cluster = world({ ...hub, model: { fineTuneJobRef: { name: "lora" } } });
    expect(conditionsOf(cluster.settle())).toContain("Ready=False/FineTuneJobNotFound");
    cluster.observed = { ...cluster.observed, jobs: new Map([["lora", job("1")]]) };
    cluster.settle();
    const first = cluster.deployment.status?.revision;
    const [pods] = cluster.of("Deployment");
    expect(JSON.stringify(pods)).toContain(`hf://org/base@${commit}`);
    cluster.observed = { ...cluster.observed, jobs: new Map([["lora", job("2")]]) };
    cluster.settle();
    expect(cluster.deployment.status?.revision).not.toBe(first);
    cluster.observed = { ...cluster.observed, jobs: new Map() };
    const held = cluster.settle();
    expect(conditionsOf(held)).toEqual([
      "Ready=False/FineTuneJobNotFound",
      "Reconciling=True/FineTuneJobNotFound",
      "Available=True/EndpointAnswers",
    ]);
  });
});

test("a name that no Service can have is refused", () => {
  const cluster = new InClusterWorld(custom, "my.model");
  expect(conditionsOf(cluster.settle())).toEqual(["Ready=False/InvalidSpec", "Stalled=True/InvalidSpec"]);
});

test("a gate whose suite does not exist, or does not ask this deployment, keeps the revision waiting", () => {
  const cluster = world();
  cluster.observed = {};
  expect(conditionsOf(cluster.settle())).toContain("Ready=False/EvalSuiteNotFound");
  const other = {
    ...suite,
    spec: { ...suite.spec, targets: [{ ...suite.spec.targets[0]!, modelRef: { name: "x" } }] },
  };
  cluster.observed = { suites: new Map([["quality", other]]) };
  expect(conditionsOf(cluster.settle())).toContain("Ready=False/GateWithoutTarget");
  expect(cluster.selected).toBeUndefined();
});
