import { HOSTED, variant } from "./manifests.ts";

const series = { name: "a", type: "Prometheus", thresholds: { alert: 1 } };
const probe = { name: "a", type: "Probe", probe: { measure: "latency" } };

export interface Violation {
  /** The object's spec, wrong in this one respect. */
  readonly spec: Record<string, unknown>;
  /** Where the API server must report it. */
  readonly field: string;
  /** For rules about a change: the spec that was there before. */
  readonly before?: Record<string, unknown>;
}

/** A deployment in the cluster with some fields of that section replaced. */
function inCluster(changes: Record<string, unknown>, place = ""): Violation {
  const section = { runtime: "Transformers", model: { source: "hf://org/model" }, ...changes };
  return {
    field: `spec.inCluster${place}`,
    spec: JSON.parse(JSON.stringify({ type: "InCluster", inCluster: section })) as Record<string, unknown>,
  };
}

/** One violating object for each rule, by `KIND FIELD: MESSAGE`. */
export const VIOLATIONS: Readonly<Record<string, Violation>> = {
  "Repository spec: pullRequests needs the section forge": {
    field: "spec",
    spec: variant("Repository", { forge: undefined }),
  },
  "Repository spec.interval: write a duration from 1s to 24h": {
    field: "spec.interval",
    spec: variant("Repository", { interval: "999ms" }),
  },
  "ModelDeployment spec.external.timeout: write a duration from 100ms to 1h": {
    field: "spec.external.timeout",
    spec: variant("ModelDeployment", {
      external: { baseURL: "https://api.example.com/v1", model: "m", timeout: "1h1ms" },
    }),
  },
  "EvalSuite spec.budget.timeout: write a duration from 100ms to 24h": {
    field: "spec.budget.timeout",
    spec: variant("EvalSuite", { budget: { timeout: "0s" } }),
  },
  "Dataset spec.shareWith: write * alone: it means every namespace": {
    field: "spec.shareWith",
    spec: variant("Dataset", { shareWith: ["*", "team-b"] }),
  },
  "Dataset spec.sources[]: a source needs one of files, url and datasetRef": {
    field: "spec.sources[0]",
    spec: variant("Dataset", {
      sources: [{ name: "both", files: [{ path: "a.csv" }], datasetRef: { name: "a" } }],
    }),
  },
  "Dataset spec.sources[]: digest, endpoint, region and secretRef go with url": {
    field: "spec.sources[0]",
    spec: variant("Dataset", {
      sources: [{ name: "a", files: [{ path: "a.csv" }], secretRef: { name: "s" } }],
    }),
  },
  "Dataset spec.refresh: write a duration from 1m to 168h": {
    field: "spec.refresh",
    spec: variant("Dataset", { refresh: "1s" }),
  },
  "Dataset spec.steps[]: a step of type map, filter, aggregate, length, language, decontaminate or sample needs the section of that name":
    {
      field: "spec.steps[1]",
      spec: variant("Dataset", {
        steps: [
          { name: "a", type: "exactDedup" },
          { name: "b", type: "sample" },
        ],
      }),
    },
  "Dataset spec.steps: steps of type map come before all others but filter: they make the rows that those work on":
    {
      field: "spec.steps",
      spec: variant("Dataset", {
        steps: [
          { name: "a", type: "exactDedup" },
          { name: "b", type: "map", map: { rename: [{ from: "a", to: "prompt" }] } },
        ],
      }),
    },
  "Dataset spec.steps: bad-rows and weights are names of Slipway's own counts: call the step something else":
    {
      field: "spec.steps",
      spec: variant("Dataset", { steps: [{ name: "bad-rows", type: "exactDedup" }] }),
    },
  "Dataset spec.splits: the percentages of splits must add up to 100": {
    field: "spec.splits",
    spec: variant("Dataset", { splits: [{ name: "train", percent: 90 }] }),
  },
  "FineTuneJob spec: framework: tensorflow trains method: sft with an adapter on safetensors; use framework: torch for the rest":
    {
      field: "spec",
      spec: variant("FineTuneJob", { framework: "tensorflow" }),
    },
  "FineTuneJob spec: selection needs backend: kubernetes and hyperparameters.saveSteps": {
    field: "spec",
    spec: variant("FineTuneJob", {
      selection: { suiteRef: { name: "choose" }, promptRef: { name: "ask" } },
      hyperparameters: {},
    }),
  },
  "FineTuneJob spec: backend cannot be changed: make another FineTuneJob": {
    field: "spec",
    before: variant("FineTuneJob", {}),
    spec: HOSTED,
  },
  "FineTuneJob spec: backend: kubernetes needs a baseModel.source that begins with hf://, artifact:sha256: or pvc://, backend: openai the provider's name of a model":
    {
      field: "spec",
      spec: { ...HOSTED, baseModel: { source: "hf://org/small" } },
    },
  "FineTuneJob spec: backend: openai needs the section openai, and no other backend has it": {
    field: "spec",
    spec: { ...HOSTED, openai: undefined },
  },
  "FineTuneJob spec: backend: openai takes no adapter, mlflow, pod, workVolume, baseModel.file or baseModel.secretRef":
    {
      field: "spec",
      spec: { ...HOSTED, adapter: {} },
    },
  "FineTuneJob spec: backend: openai takes epochs, batchSize, seed and beta of hyperparameters, and openai.learningRateMultiplier":
    {
      field: "spec",
      spec: { ...HOSTED, hyperparameters: { learningRate: 0.001 } },
    },
  "FineTuneJob spec.runPolicy.timeout: write a duration from 1m to 500h": {
    field: "spec.runPolicy.timeout",
    spec: variant("FineTuneJob", { runPolicy: { timeout: "501h" } }),
  },
  "FineTuneJob spec.mlflow: alias needs registeredModel": {
    field: "spec.mlflow",
    spec: variant("FineTuneJob", {
      mlflow: { trackingUri: "http://mlflow:5000", experiment: "e", alias: "best" },
    }),
  },
  "PromptTemplate spec: messages needs at least one with role: user": {
    field: "spec",
    spec: variant("PromptTemplate", { messages: [{ role: "system", content: "Be brief." }] }),
  },
  "ModelDeployment spec: type: External needs the section external with baseURL and model": {
    field: "spec",
    spec: variant("ModelDeployment", { external: undefined }),
  },
  "ModelDeployment spec: type: InCluster needs the section inCluster with runtime and model": {
    field: "spec",
    spec: { type: "InCluster" },
  },
  "ModelDeployment spec.inCluster: every runtime but Custom needs the section model": inCluster({
    model: undefined,
  }),
  "ModelDeployment spec.inCluster: runtime: Custom needs an image": inCluster({ runtime: "Custom" }),
  "ModelDeployment spec.inCluster: command, port and healthPath are for runtime: Custom; the others know their own":
    inCluster({ port: 9000 }),
  "ModelDeployment spec.inCluster: runtime: LlamaCpp needs model.file, a GGUF file": inCluster({
    runtime: "LlamaCpp",
  }),
  "ModelDeployment spec.inCluster: runtime: LlamaCpp serves GGUF files, and a FineTuneJob makes safetensors: use another runtime, or convert what it made and name that in source and file":
    inCluster({ runtime: "LlamaCpp", model: { fineTuneJobRef: { name: "a" } } }),
  "ModelDeployment spec.inCluster: LlamaCpp, Ollama and Transformers serve one model: at most one adapter, which is merged into it":
    inCluster({
      adapters: [
        { name: "a", fineTuneJobRef: { name: "a" } },
        { name: "b", fineTuneJobRef: { name: "b" } },
      ],
    }),
  "ModelDeployment spec.inCluster.model: model needs either source or fineTuneJobRef": inCluster(
    { model: {} },
    ".model",
  ),
  "ModelDeployment spec.inCluster.adapters[]: an adapter needs either source or fineTuneJobRef": inCluster(
    { adapters: [{ name: "a" }] },
    ".adapters[0]",
  ),
  "ModelDeployment spec.inCluster.startupTimeout: write a duration from 10s to 6h": inCluster(
    { startupTimeout: "7h" },
    ".startupTimeout",
  ),
  "ModelDeployment spec.inCluster.drainTimeout: write a duration from 1s to 1h": inCluster(
    { drainTimeout: "2h" },
    ".drainTimeout",
  ),
  "ModelDeployment spec.inCluster.timeout: write a duration from 100ms to 1h": inCluster(
    { timeout: "2h" },
    ".timeout",
  ),
  "EvalSuite spec: llm-rubric needs judge.modelRef": {
    field: "spec",
    spec: variant("EvalSuite", { judge: undefined, assert: [{ type: "not-llm-rubric", value: "rude" }] }),
  },
  "EvalSuite spec.cases: cases needs inline or files": {
    field: "spec.cases",
    spec: variant("EvalSuite", { cases: { inline: [], files: [] } }),
  },
  "EvalSuite spec.gates[]: a gate needs margin, min or max": {
    field: "spec.gates[1]",
    spec: variant("EvalSuite", { gates: [{ name: "a", max: 1 }, { name: "b" }] }),
  },
  "EvalSuite spec.gates[]: min must not be greater than max": {
    field: "spec.gates[0]",
    spec: variant("EvalSuite", { gates: [{ name: "a", min: 0.75, max: 0.5 }] }),
  },
  "Monitor spec.interval: write a duration from 1s to 24h": {
    field: "spec.interval",
    spec: variant("Monitor", { interval: "25h" }),
  },
  "Monitor spec.probe.window: write a duration from 1s to 24h": {
    field: "spec.probe.window",
    spec: variant("Monitor", { probe: { window: "1ms" } }),
  },
  "Monitor spec.signals[].for: write a duration from 0s to 24h": {
    field: "spec.signals[0].for",
    spec: variant("Monitor", {
      actions: undefined,
      signals: [{ ...probe, thresholds: { alert: 1 }, for: "48h" }],
    }),
  },
  "Monitor spec.signals[]: a signal needs the section that its type names, and no other": {
    field: "spec.signals[0]",
    spec: variant("Monitor", {
      actions: undefined,
      signals: [{ name: "a", type: "Probe", thresholds: { alert: 1 } }],
    }),
  },
  "Monitor spec.signals[].prometheus: write either metric or query": {
    field: "spec.signals[0].prometheus",
    spec: variant("Monitor", {
      actions: undefined,
      signals: [{ ...series, prometheus: { metric: "queue", query: "up" } }],
    }),
  },
  "Monitor spec.signals[].prometheus.window: write a duration from 10s to 24h": {
    field: "spec.signals[0].prometheus.window",
    spec: variant("Monitor", {
      actions: undefined,
      signals: [{ ...series, prometheus: { metric: "queue", window: "9s" } }],
    }),
  },
  "Monitor spec.signals[].replay.every: write a duration from 1m to 168h": {
    field: "spec.signals[0].replay.every",
    spec: variant("Monitor", {
      actions: undefined,
      signals: [
        {
          name: "a",
          type: "Replay",
          thresholds: { alert: 1 },
          replay: { suiteRef: { name: "s" }, every: "5s" },
        },
      ],
    }),
  },
  "Monitor spec: a signal of type Prometheus needs spec.prometheus.url": {
    field: "spec",
    spec: variant("Monitor", { prometheus: undefined }),
  },
  "Monitor spec: an action of type PrometheusRule needs a signal of type Prometheus": {
    field: "spec",
    spec: variant("Monitor", {
      signals: [{ ...probe, thresholds: { alert: 1 } }],
      actions: [{ name: "a", type: "PrometheusRule", prometheusRule: {} }],
    }),
  },
  "Monitor spec: an action of type OpenPullRequest needs a signal of type Replay": {
    field: "spec",
    spec: variant("Monitor", {
      signals: [{ ...probe, thresholds: { alert: 1 } }],
      actions: [{ name: "a", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "s" } } }],
    }),
  },
  "Monitor spec: write one action of type PrometheusRule: it is one object": {
    field: "spec",
    spec: variant("Monitor", {
      actions: ["a", "b"].map((name) => ({ name, type: "PrometheusRule", prometheusRule: {} })),
    }),
  },
  "Monitor spec.actions[]: an action needs the section that its type names, and no other": {
    field: "spec.actions[0]",
    spec: variant("Monitor", { actions: [{ name: "a", type: "Webhook", prometheusRule: {} }] }),
  },
  "Monitor spec.actions[].alertmanager.resend: write a duration from 1s to 1h": {
    field: "spec.actions[0].alertmanager.resend",
    spec: variant("Monitor", {
      actions: [{ name: "a", type: "Alertmanager", alertmanager: { url: "http://am:9093", resend: "2h" } }],
    }),
  },
  "Monitor spec.signals[].thresholds: thresholds needs warning or alert": {
    field: "spec.signals[0].thresholds",
    spec: variant("Monitor", { actions: undefined, signals: [{ ...probe, thresholds: {} }] }),
  },
  "Monitor spec.signals[].thresholds: alert must lie beyond warning: above it with operator Above, below it with Below":
    {
      field: "spec.signals[0].thresholds",
      spec: variant("Monitor", {
        actions: undefined,
        signals: [{ ...probe, thresholds: { operator: "Below", warning: 0.5, alert: 0.9 } }],
      }),
    },
  "EvalRun spec: an EvalRun's spec cannot be changed: make a new one": {
    field: "spec",
    before: variant("EvalRun", {}),
    spec: variant("EvalRun", { pullRequest: 8 }),
  },
  "EvalRun spec: trigger: PullRequest needs pullRequest": {
    field: "spec",
    spec: variant("EvalRun", { pullRequest: undefined }),
  },
};
