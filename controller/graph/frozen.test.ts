import { describe, expect, it } from "vitest";
import { object } from "../../test/graph-objects.ts";
import { sha256 } from "./canonical.ts";
import { edgeKey, revisionOf } from "./graph.ts";

/*
 * Frozen revisions of what is trained, rolled out and watched; the other kinds' are in revision.test.ts. The objects
 * are frozen too: they name every field that counts, with another value than its default, and beside them what must
 * not count. So a new field gets an object of its own here and changes none of these.
 */

const digest = (hex: string) => `sha256:${hex.repeat(64)}`;

const minimalServed = () =>
  object("ModelDeployment", "minimal", {
    type: "InCluster",
    inCluster: { runtime: "VLLM", model: { source: "hf://org/small@0123abc" } },
  });

const fullServed = () =>
  object("ModelDeployment", "full", {
    description: "Served here.",
    type: "InCluster",
    inCluster: {
      runtime: "Custom",
      image: "registry.example.com/server:1.2.3",
      modelName: "triage",
      model: {
        source: "s3://models/triage",
        file: "triage-q8_0.gguf",
        endpoint: "https://s3.example.com",
        region: "eu-1",
        secretRef: { name: "s3" },
      },
      adapters: [
        { name: "sql", source: `artifact:${digest("1")}`, file: "sql" },
        { name: "law", source: "hf://org/law@0123abc", endpoint: "https://hub.example.com" },
      ],
      command: ["/bin/server", "--listen"],
      args: ["--context", "8192"],
      port: 8081,
      healthPath: "/healthz",
      gpu: { count: 2 },
      replicas: 3,
      startupTimeout: "1h",
      drainTimeout: "5m",
      cache: { size: "200Gi", storageClassName: "fast" },
      podTemplate: {
        labels: { team: "a" },
        resources: { limits: { memory: "64Gi" } },
        nodeSelector: { "example.com/pool": "gpu" },
        env: [
          { name: "THREADS", value: "4" },
          { name: "LEVEL", value: "warn" },
        ],
      },
      rollout: { strategy: "Recreate", gates: [{ suiteRef: { name: "support" } }] },
      pricing: { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.60" },
      timeout: "20s",
      maxConcurrency: 4,
    },
    suspend: true,
  });

const trainedServed = () =>
  object("ModelDeployment", "trained", {
    type: "InCluster",
    inCluster: {
      runtime: "VLLM",
      model: { fineTuneJobRef: { name: "whole" } },
      adapters: [
        { name: "law", source: "hf://org/law" },
        { name: "sql", fineTuneJobRef: { name: "sql" } },
      ],
    },
  });

const minimalDataset = () =>
  object("Dataset", "minimal", {
    format: "chat",
    sources: [{ name: "main", files: [{ path: "rows.jsonl", digest: digest("2") }] }],
  });

const fullDataset = () =>
  object("Dataset", "full", {
    description: "Everything.",
    license: "MIT",
    format: "completion",
    sources: [
      {
        name: "tickets",
        files: [
          { path: "data/tickets.jsonl.gz", digest: digest("2") },
          { path: "data/more.csv", digest: digest("3") },
        ],
        weight: 0.5,
      },
      { name: "older", datasetRef: { name: "older", namespace: "data" }, split: "test" },
      { name: "own", datasetRef: { name: "own" } },
      {
        name: "bucket",
        url: "s3://team/rows/a.jsonl",
        digest: digest("4"),
        endpoint: "https://s3.example.com",
        region: "eu-1",
        secretRef: { name: "s3" },
      },
      { name: "hub", url: "hf://datasets/team/rows@main/data" },
    ],
    refresh: "1h",
    schema: { type: "object", required: ["prompt", "completion"] },
    onBadRow: "Drop",
    steps: [
      {
        name: "columns",
        type: "map",
        map: {
          sources: ["bucket"],
          rename: [{ from: "answer", to: "completion" }],
          set: [{ field: "prompt", template: "{{subject}}: {{body}}" }],
          messages: [{ role: "user", template: "{{body}}" }],
        },
      },
      { name: "closed", type: "filter", filter: { keep: "words > 3" } },
      {
        name: "mix",
        type: "aggregate",
        aggregate: { shares: [{ source: "tickets", share: 0.7 }], rows: 1000 },
      },
      { name: "prose", type: "quality", quality: { repetition: false } },
      { name: "clean", type: "normalize" },
      { name: "length", type: "length", length: { minWords: 3, maxWords: 900 } },
      { name: "english", type: "language", language: { allow: ["en"] } },
      { name: "equal", type: "exactDedup" },
      { name: "near", type: "nearDedup", nearDedup: { threshold: 0.8 } },
      { name: "pii", type: "pii", pii: { action: "Drop" } },
      { name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "support" }] } },
      { name: "some", type: "sample", sample: { rows: 100 } },
    ],
    splits: [
      { name: "train", percent: 90 },
      { name: "test", percent: 10 },
    ],
    splitSeed: 7,
    gates: { minRows: 10, maxDropShare: 0.5, maxPiiRows: 0 },
    shareWith: ["team-b"],
    pod: { resources: { limits: { memory: "1Gi" } } },
    suspend: true,
  });

const minimalTraining = () =>
  object("FineTuneJob", "minimal", {
    baseModel: { source: "hf://org/small@main" },
    datasetRef: { name: "rows" },
  });

const fullTraining = () =>
  object("FineTuneJob", "full", {
    description: "Prefers.",
    baseModel: {
      source: "hf://org/small-gguf@0123abc",
      file: "small-q8_0.gguf",
      endpoint: "https://hub.example.com",
      secretRef: { name: "hub" },
    },
    datasetRef: { name: "rows", namespace: "data" },
    split: "some",
    validationSplit: "test",
    method: "dpo",
    adapter: { r: 16, alpha: 32, dropout: 0.1, targetModules: ["q_proj", "v_proj"] },
    hyperparameters: {
      epochs: 3,
      maxSteps: 100,
      batchSize: 4,
      gradientAccumulation: 2,
      learningRate: 0.0002,
      warmup: 0.1,
      weightDecay: 0.01,
      maxGradNorm: 1,
      maxSequenceLength: 512,
      seed: 7,
      saveSteps: 10,
      beta: 0.2,
    },
    selection: { suiteRef: { name: "choose" }, promptRef: { name: "ask" } },
    mlflow: { trackingUri: "http://mlflow:5000", experiment: "support", registeredModel: "triage" },
    runPolicy: { onChange: "Auto", retries: 1, timeout: "2h", queueName: "gpus" },
    pod: { image: "registry.example.com/trainer:1", resources: { limits: { "nvidia.com/gpu": "1" } } },
    workVolume: { size: "10Gi" },
    suspend: true,
  });

const tensorFlow = () =>
  object("FineTuneJob", "tensorflow", {
    baseModel: { source: "hf://org/small@0123abc" },
    datasetRef: { name: "rows" },
    framework: "tensorflow",
    adapter: {},
  });

const hosted = () =>
  object("FineTuneJob", "hosted", {
    backend: "openai",
    baseModel: { source: "gpt-small-2026-01-01" },
    datasetRef: { name: "rows" },
    hyperparameters: { epochs: 3, seed: 7 },
    openai: {
      baseURL: "https://api.example.com/v1",
      secretRef: { name: "key" },
      suffix: "triage",
      learningRateMultiplier: 2,
      pricePerMillionTrainedTokens: "3.00",
    },
  });

const minimalMonitor = () =>
  object("Monitor", "minimal", {
    targetRef: { name: "small" },
    signals: [{ name: "up", type: "Probe", probe: { measure: "availability" }, thresholds: { alert: 1 } }],
  });

const fullMonitor = () =>
  object("Monitor", "full", {
    description: "Everything.",
    targetRef: { name: "full" },
    interval: "30s",
    probe: { prompt: "Say OK.", maxTokens: 4, window: "5m", minRequests: 5 },
    prometheus: {
      url: "http://prometheus.monitoring.svc:9090",
      secretRef: { name: "prometheus" },
      runtime: "VLLM",
      matchLabels: { job: "llm" },
    },
    signals: [
      {
        name: "latency",
        type: "Probe",
        probe: { measure: "latency", statistic: "p99" },
        thresholds: { warning: 800, alert: 2000 },
        for: "1m",
        noData: "Alert",
      },
      {
        name: "queue",
        type: "Prometheus",
        prometheus: { metric: "queue", window: "10m" },
        thresholds: { warning: 4 },
      },
      {
        name: "quality",
        type: "Replay",
        replay: {
          suiteRef: { name: "support" },
          every: "6h",
          metric: "score",
          reference: "FirstRun",
          keep: 2,
        },
        thresholds: { operator: "Below", alert: -0.05 },
      },
    ],
    actions: [
      { name: "rule", type: "PrometheusRule", prometheusRule: { labels: { release: "stack" } } },
      { name: "cases", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "support" } } },
    ],
    suspend: true,
  });

/** When one of these changes, every training, rollout and baseline of that kind is made again everywhere. */
describe("frozen revisions", () => {
  it.each([
    [
      "ModelDeployment InCluster, minimal",
      minimalServed(),
      "a1c71e6e5431e077d73ab102ac142f2b43b3c78623f53c1c0a2a9ce2ff80fcdc",
    ],
    [
      "ModelDeployment InCluster, full",
      fullServed(),
      "ba29b6e67a1634984019af9a2cfe16a37e16b116f134cb676364aefcea890467",
    ],
    [
      "ModelDeployment InCluster, of trainings",
      trainedServed(),
      "5276218680a58cc8207e251e121cd5f37e003c2591ab5a6a5c5f857084a86769",
    ],
    [
      "Dataset, minimal",
      minimalDataset(),
      "79079cf9929f59c814a87a55d2cc5e41f78d0cb57b3ca12049175222f4ce9467",
    ],
    ["Dataset, full", fullDataset(), "b147b9a16ad3752769cd70b61eebeb10a1d311856e5b1f9326ecacbeda7fbbf7"],
    [
      "FineTuneJob, minimal",
      minimalTraining(),
      "4c6d974ca1424cfeda350af61797145df375876f1eca971e314d01bbab51a762",
    ],
    ["FineTuneJob, full", fullTraining(), "327a483b1ae8e471fe41dd58d836efcc2764937406534742dc2d2ec311599c6c"],
    [
      "FineTuneJob, TensorFlow",
      tensorFlow(),
      "2e18e7499d2fc000a13ce01dc9c5d7055e946fa0986fa7ff17fac0260dc91c49",
    ],
    ["FineTuneJob, hosted", hosted(), "fdf0650c8635a8efe780b796614e946dc42a0a7a0a8196704a30dbc0fd82f918"],
    [
      "Monitor, minimal",
      minimalMonitor(),
      "66e1db70b64c2a0810e87698f316a54806795c6729c0c4c0c1de1ad28c590f02",
    ],
    ["Monitor, full", fullMonitor(), "6c224e567a28a30a7c5d816d9767c8ff6e619dcc9173afd7aa9d6ba9aa692447"],
  ])("%s", (_, item, hex) => {
    // Each reference has a revision of its own, so that none can stand for another.
    expect(revisionOf(item, (edge) => sha256(edgeKey(edge)))).toBe(hex);
  });
});
