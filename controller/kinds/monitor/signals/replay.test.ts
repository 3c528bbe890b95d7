import { describe, expect, test } from "vitest";
import type { EvalRun, EvalRunStatus } from "../../../../schemas/eval-run.ts";
import { type EvalSuite, evalSuiteSpec } from "../../../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import { type Monitor, monitorSpec, type SignalStatus } from "../../../../schemas/monitor.ts";
import { type PromptTemplate, promptTemplateSpec } from "../../../../schemas/prompt-template.ts";
import { failed, later, NOW, object, succeeded } from "../../../../test/kind-objects.ts";
import { decideReplay, type ObservedReplay, replayBundle } from "./replay.ts";

const revision = (digit: string) => digit.repeat(64);
const digest = (digit: string) => `sha256:${revision(digit)}`;
const isReady = (of: string) => ({
  observedGeneration: 1,
  revision: revision(of),
  conditions: [
    { type: "Ready", status: "True" as const, reason: "Yes", message: "", lastTransitionTime: "" },
  ],
});
const prompt = object<PromptTemplate>("PromptTemplate", {
  spec: promptTemplateSpec.parse({ messages: [{ role: "user", content: "hi" }] }),
  status: isReady("b"),
});
const model = object<ModelDeployment>("ModelDeployment", {
  spec: {
    type: "External",
    external: { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s", maxConcurrency: 8 },
  },
  status: isReady("c"),
});
const suite = object<EvalSuite>("EvalSuite", {
  spec: evalSuiteSpec.parse({
    targets: [
      { name: "watched", promptRef: { name: "p" }, modelRef: { name: "m" } },
      { name: "other", promptRef: { name: "p" }, modelRef: { name: "elsewhere" } },
    ],
    cases: { inline: [{ id: "a", expected: "x" }] },
  }),
});
const monitorOf = (replay: object = {}, status: Partial<SignalStatus> = {}) =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      signals: [
        {
          name: "quality",
          type: "Replay",
          replay: { suiteRef: { name: "evalsuite" }, every: "1h", keep: 2, ...replay },
          thresholds: { operator: "Below", alert: 0.5 },
        },
      ],
    }),
    status: { signals: [{ name: "quality", state: "OK", since: "", ...status }] },
  });
const run = (name: string, minutesAgo: number, status: EvalRunStatus = {}, suiteRevision = "d"): EvalRun =>
  object<EvalRun>("EvalRun", {
    metadata: {
      name,
      labels: { "slipway.dev/monitor-signal": "quality" },
      creationTimestamp: later(-minutesAgo * 60_000).toISOString(),
    } as never,
    spec: {
      suite: { name: "evalsuite", revision: revision(suiteRevision), bundle: digest("1") },
      trigger: "Monitor",
      head: { bundle: digest("2"), revision: revision("e") },
    },
    status,
  });
const passed = (result: string): EvalRunStatus => ({ verdict: "Pass", result: digest(result) });
const bundle = succeeded({
  suite: digest("1"),
  side: digest("2"),
  sideRevision: revision("e"),
  cases: 1,
});
const observedOf = (changes: Partial<ObservedReplay> = {}): ObservedReplay => ({
  suite,
  prompts: new Map([["p", prompt]]),
  models: new Map([["m", model]]),
  suiteRun: undefined,
  runs: [],
  bundle,
  comparison: undefined,
  ...changes,
});
const look = (
  changes: Partial<ObservedReplay> = {},
  monitor = monitorOf(),
  { now = NOW, asked }: { now?: Date; asked?: string } = {},
) => {
  const signal = monitor.spec.signals[0]!;
  const annotations: Record<string, string> = asked === undefined ? {} : { "slipway.dev/requestedAt": asked };
  const annotated = { ...monitor, metadata: { ...monitor.metadata, annotations } };
  return decideReplay(annotated, signal, signal.replay!, observedOf(changes), now);
};
const names = (decision: ReturnType<typeof look>) => decision.children.map(({ metadata }) => metadata.name);

describe("runs", () => {
  test("the first at once, of the targets on the watched deployment, with a label of its signal", () => {
    const { children, reading } = look();
    expect(children).toMatchObject([
      {
        kind: "EvalRun",
        metadata: { labels: { "slipway.dev/monitor-signal": "quality" } },
        spec: { trigger: "Monitor", head: { bundle: digest("2") } },
      },
    ]);
    expect(reading).toEqual({ kind: "unknown" });
    const prepared = replayBundle(monitorOf(), monitorOf().spec.signals[0]!.replay!, observedOf());
    expect("input" in prepared && prepared.input.suite.spec.targets.map(({ name }) => name)).toEqual([
      "watched",
    ]);
  });

  test("asked for twice it is the same run", () => {
    expect(names(look())).toEqual(names(look({}, monitorOf(), { now: later(1_000) })));
  });

  test("the next when it is due, not while one runs", () => {
    const waiting = look({ runs: [run("a", 59, passed("3"))] });
    expect(names(waiting)).toEqual(["a"]);
    expect(waiting.waitMs).toBe(60_000);
    expect(names(look({ runs: [run("a", 60, passed("3"))] }))).toEqual([
      expect.not.stringMatching(/^a$/),
      "a",
    ]);
    expect(names(look({ runs: [run("a", 300)] }))).toEqual(["a"]);
  });

  test("at once when somebody asks", () => {
    const decision = look({ runs: [run("a", 1, passed("3"))] }, monitorOf(), { asked: "now" });
    expect(names(decision)).toHaveLength(2);
    expect(decision.status).toMatchObject({ run: "a", lastHandledRequestedAt: "now" });
  });

  test("not in the second of the one before, whose age would be the same", () => {
    const runs = [run("a", 0, passed("3"))];
    const waiting = look({ runs }, monitorOf(), { now: later(400), asked: "now" });
    expect([names(waiting), waiting.waitMs]).toEqual([["a"], 1_600]);
    expect(waiting.status.lastHandledRequestedAt).toBeUndefined();
    const started = look({ runs }, monitorOf(), { now: later(2_000), asked: "now" });
    expect(names(started)).toHaveLength(2);
    expect(started.status.lastHandledRequestedAt).toBe("now");
  });

  test.each([
    ["right after a restart", { bundle: undefined }],
    ["while the cases cannot be read", { bundle: failed("InvalidCases", false) }],
    ["while the model is away", { models: new Map([["m", { ...model, status: {} }]]) }],
  ])("%s a request stays open until there is a run for it, of one name", (_, changes) => {
    const runs = [run("a", 1, passed("3"))];
    const before = monitorOf({}, { lastHandledRequestedAt: "before" });
    const waiting = look({ runs, ...changes }, before, { asked: "now" });
    expect(names(waiting)).toEqual(["a"]);
    expect(waiting.status.lastHandledRequestedAt).toBe("before");
    const started = look({ runs }, before, { asked: "now" });
    expect(names(started)).toHaveLength(2);
    const [first = ""] = names(started);
    const again = look({ runs: [run(first, 0, passed("4")), ...runs] }, before, { asked: "now" });
    expect(names(again)).toEqual([first, "a"]);
    const handled = monitorOf({}, started.status);
    expect(names(look({ runs }, handled, { asked: "now" }))).toEqual(["a"]);
  });

  test("a run that goes on answers the request too", () => {
    const decision = look({ runs: [run("a", 0)] }, monitorOf(), { asked: "now" });
    expect(names(decision)).toEqual(["a"]);
    expect(decision.status.lastHandledRequestedAt).toBe("now");
  });

  test("a signal without a state is measured first: its first run answers", () => {
    const monitor = { ...monitorOf(), status: {} };
    const decision = look({ runs: [run("a", 1, passed("3"))] }, monitor, { asked: "now" });
    expect(names(decision)).toEqual(["a"]);
    expect(decision.status.lastHandledRequestedAt).toBe("now");
  });

  test("as many as are to be kept stay", () => {
    const runs = [run("c", 10, passed("3")), run("b", 70, passed("3")), run("a", 130, passed("3"))];
    expect(names(look({ runs }))).toEqual(["c", "b"]);
    const due = look({
      runs: runs.map((each, index) => run(each.metadata.name, 60 * (index + 1), passed("3"))),
    });
    expect(names(due)).toHaveLength(2);
    expect(names(due)[1]).toBe("c");
  });
});

describe("what stands in the way", () => {
  test.each([
    ["no suite", { suite: undefined }, "EvalSuiteNotFound"],
    [
      "another deployment's suite",
      { suite: { ...suite, spec: { ...suite.spec, targets: suite.spec.targets.slice(1) } } },
      "NotATarget",
    ],
    ["no prompt", { prompts: new Map() }, "PromptTemplateNotFound"],
    ["unreadable cases", { bundle: failed("InvalidCases", false) }, "InvalidCases"],
  ])("%s", (_, changes, reason) => {
    expect(look(changes)).toMatchObject({ children: [], reading: { kind: "none", reason } });
  });

  test("a model that is away: what the last run said stands, and the runs stay", () => {
    const away = { ...model, status: {} };
    const comparison = succeeded({ value: 0.9, mean: 0.9 });
    const decision = look({ models: new Map([["m", away]]), runs: [run("a", 90, passed("3"))], comparison });
    expect(decision).toMatchObject({ reading: { kind: "value", value: 0.9 } });
    expect(names(decision)).toEqual(["a"]);
  });
});

describe("readings", () => {
  test("of the newest run with a verdict", () => {
    const runs = [run("c", 1), run("b", 70, passed("4")), run("a", 130, passed("3"))];
    expect(look({ runs }).effects).toMatchObject([
      { name: "compare", input: { result: digest("4"), metric: "pass-rate", suiteBundle: digest("1") } },
      { name: "bundle" },
    ]);
    expect(look({ runs, comparison: succeeded({ value: 0.8, mean: 0.8 }) })).toMatchObject({
      reading: { kind: "value", value: 0.8, message: "EvalRun b: 0.8" },
      status: { run: "b" },
    });
  });

  test("a run without a verdict is no data, with its reason", () => {
    const conditions = [
      {
        type: "Passing",
        status: "Unknown" as const,
        reason: "ModelUnavailable",
        message: "",
        lastTransitionTime: "",
      },
    ];
    expect(look({ runs: [run("a", 1, { verdict: "Error", conditions })] }).reading).toMatchObject({
      kind: "none",
      reason: "ModelUnavailable",
    });
  });

  test("a result that cannot be compared says why", () => {
    const comparison = succeeded({ reason: "NoCaseMeasured", message: "no" });
    expect(look({ runs: [run("a", 1, passed("3"))], comparison }).reading).toMatchObject({
      kind: "none",
      reason: "NoCaseMeasured",
    });
  });
});

describe("references", () => {
  const first = { run: "a", result: digest("3"), suite: revision("d") };
  const difference = succeeded({ value: -0.2, lower: -0.3, upper: -0.1, mean: 0.7 });

  test("FirstRun is pinned, and stays when the run is gone", () => {
    const monitor = monitorOf({ reference: "FirstRun" });
    expect(look({ runs: [run("a", 1, passed("3"))] }, monitor).status).toEqual({
      run: "a",
      reference: first,
    });
    const later = look(
      { runs: [run("f", 1, passed("5"))], comparison: difference },
      monitorOf({ reference: "FirstRun" }, { reference: first }),
    );
    expect(later.status).toEqual({ run: "f", reference: first });
    expect(later.effects[0]?.input).toMatchObject({ result: digest("5"), reference: digest("3") });
    expect(later.reading).toEqual({
      kind: "value",
      value: -0.2,
      lower: -0.3,
      upper: -0.1,
      mean: 0.7,
      message: "EvalRun f: 0.7, -0.2 (-0.3 to -0.1) against EvalRun a",
    });
  });

  test("another suite begins anew", () => {
    const monitor = monitorOf({ reference: "FirstRun" }, { reference: first });
    expect(look({ runs: [run("f", 1, passed("5"), "9")] }, monitor).status.reference).toEqual({
      run: "f",
      result: digest("5"),
      suite: revision("9"),
    });
  });

  test("LastPass is the suite's own, else the one before, else there is none yet", () => {
    const monitor = monitorOf({ reference: "LastPass" }, { reference: first });
    const runs = [run("f", 1, passed("5"))];
    const own = run("s", 9, passed("7"));
    expect(look({ runs, suiteRun: own }, monitor).status.reference).toMatchObject({ run: "s" });
    const fails = run("s", 9, { verdict: "Fail", result: digest("7") });
    expect(look({ runs, suiteRun: fails }, monitor).status.reference).toEqual(first);
    expect(look({ runs, suiteRun: fails }, monitorOf({ reference: "LastPass" })).reading).toMatchObject({
      kind: "none",
      reason: "NoReference",
    });
  });
});
