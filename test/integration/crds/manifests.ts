type Spec = Record<string, unknown>;

const digest = `sha256:${"0".repeat(64)}`;
const revision = "a".repeat(64);
const commit = "b".repeat(40);

/** The least that each kind needs: everything else is left to defaults. */
export const MINIMAL: Readonly<Record<string, Spec>> = {
  Repository: { url: "https://git.example.com/team/llm.git", serviceAccountName: "llm" },
  Dataset: { format: "chat", sources: [{ name: "main", files: [{ path: "rows.jsonl", digest }] }] },
  FineTuneJob: { baseModel: { source: "hf://org/small@main" }, datasetRef: { name: "rows" } },
  PromptTemplate: { messages: [{ role: "user", content: "{{question}}" }] },
  ModelDeployment: { type: "External", external: { baseURL: "https://api.example.com/v1", model: "m-1" } },
  EvalSuite: {
    targets: [{ name: "t", promptRef: { name: "p" }, modelRef: { name: "m" } }],
    cases: { files: [{ path: "cases/tickets.jsonl" }] },
  },
  Monitor: {
    targetRef: { name: "m" },
    signals: [{ name: "up", type: "Probe", probe: { measure: "availability" }, thresholds: { alert: 1 } }],
  },
  EvalRun: {
    suite: { name: "s", revision, bundle: digest },
    trigger: "Merge",
    head: { bundle: digest, revision },
  },
};

/** A FineTuneJob that a provider runs. */
export const HOSTED: Spec = {
  backend: "openai",
  baseModel: { source: "gpt-small-2026-01-01" },
  datasetRef: { name: "rows" },
  hyperparameters: { epochs: 3, seed: 7 },
  openai: { secretRef: { name: "key" }, suffix: "triage", pricePerMillionTrainedTokens: "3.00" },
};

/** One object of each kind with the optional sections, so that defaults inside them apply too. */
export const FULL: Readonly<Record<string, Spec>> = {
  Repository: {
    ...MINIMAL.Repository,
    secretRef: { name: "git" },
    webhook: { secretRef: { name: "hook" } },
    forge: { type: "Gitea", secretRef: { name: "forge" } },
    pullRequests: { requiredSuites: ["a", "b"], maxCostPerPullRequest: "2.50" },
  },
  Dataset: {
    license: "MIT",
    format: "completion",
    sources: [
      { name: "tickets", files: [{ path: "data/tickets.jsonl.gz", digest }], weight: 0.5 },
      { name: "older", datasetRef: { name: "older", namespace: "data" }, split: "test" },
      {
        name: "bucket",
        url: "s3://team/rows/a.jsonl",
        digest,
        endpoint: "https://s3.example.com",
        region: "eu-1",
        secretRef: { name: "s3" },
      },
      { name: "hub", url: "hf://datasets/team/rows@main/data" },
    ],
    refresh: "1h",
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
      { name: "closed", type: "filter", filter: { keep: "words > 3 && row.completion != ''" } },
      {
        name: "mix",
        type: "aggregate",
        aggregate: { shares: [{ source: "tickets", share: 0.7 }], rows: 1000 },
      },
      { name: "prose", type: "quality", quality: { repetition: false } },
      { name: "clean", type: "normalize" },
      { name: "length", type: "length", length: { minWords: 3 } },
      { name: "english", type: "language", language: { allow: ["en"] } },
      { name: "near", type: "nearDedup", nearDedup: { threshold: 0.8 } },
      { name: "pii", type: "pii", pii: { action: "Drop" } },
      { name: "cases", type: "decontaminate", decontaminate: { against: [{ name: "s" }] } },
      { name: "some", type: "sample", sample: { rows: 100 } },
    ],
    splits: [
      { name: "train", percent: 90 },
      { name: "test", percent: 10 },
    ],
    gates: { minRows: 10, maxDropShare: 0.5, maxPiiRows: 0 },
    shareWith: ["team-b"],
    schema: { type: "object", required: ["prompt", "ticket"] },
    pod: { resources: { limits: { memory: "1Gi" } } },
  },
  FineTuneJob: {
    baseModel: {
      source: "hf://org/small-gguf@0123abc",
      file: "small-q8_0.gguf",
      secretRef: { name: "hub" },
    },
    datasetRef: { name: "rows" },
    validationSplit: "test",
    adapter: { targetModules: ["q_proj", "v_proj"] },
    hyperparameters: { maxSteps: 100, learningRate: 0.0002, saveSteps: 10 },
    selection: { suiteRef: { name: "choose" }, promptRef: { name: "ask" } },
    mlflow: {
      trackingUri: "http://mlflow:5000",
      experiment: "support",
      registeredModel: "triage",
      alias: "candidate",
      secretRef: { name: "mlflow" },
    },
    runPolicy: { onChange: "Auto", timeout: "2h", queueName: "gpus" },
    pod: {
      image: "registry.example.com/trainer@sha256:0123",
      imagePullSecrets: [{ name: "registry" }],
      resources: { requests: { cpu: "500m", memory: "1.5Gi" }, limits: { "nvidia.com/gpu": "1" } },
      nodeSelector: { "example.com/pool": "gpu" },
      tolerations: [{ key: "gpu", operator: "Exists", effect: "NoSchedule" }],
    },
    workVolume: { size: "10Gi", storageClassName: "fast" },
  },
  PromptTemplate: {
    messages: [
      { role: "system", content: "Answer in {{language}}." },
      { role: "user", content: "{{question}}" },
    ],
    variables: [
      { name: "language", default: { nested: ["kept", 1, null] } },
      { name: "question", type: "json" },
    ],
    parameters: { temperature: 0.7, maxTokens: 16, stop: ["\n"] },
    outputSchema: { type: "object", properties: { a: { anyOf: [{ type: "string" }, { type: "null" }] } } },
    output: { configMapName: "compiled" },
  },
  ModelDeployment: {
    type: "External",
    external: {
      baseURL: "http://localhost:8080/v1",
      model: "org/model:tag",
      secretRef: { name: "key" },
      pricing: { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.6" },
    },
    inCluster: {
      runtime: "VLLM",
      model: { source: "hf://org/model@main", secretRef: { name: "hub" } },
      adapters: [{ name: "sql", source: `artifact:${digest}` }],
      replicas: 2,
      args: ["--max-model-len", "8192"],
      gpu: { count: 2 },
      cache: { size: "200Gi" },
      podTemplate: {
        resources: { limits: { memory: "64Gi" } },
        nodeSelector: { "gpu.example.com/model": "h100" },
        tolerations: [{ key: "nvidia.com/gpu", operator: "Exists" }],
        env: [{ name: "VLLM_LOGGING_LEVEL", value: "WARNING" }],
      },
      rollout: { gates: [{ suiteRef: { name: "s" } }] },
      pricing: { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.6" },
    },
  },
  EvalSuite: {
    ...MINIMAL.EvalSuite,
    cases: {
      inline: [
        { id: "1", expected: ["any", { json: true }], assert: [{ type: "not-contains", value: "x" }] },
        { id: "b:2024-05-01", vars: { question: { deep: [1] }, n: 1 }, critical: true, tags: ["x"] },
      ],
    },
    assert: [{ type: "llm-rubric", value: "polite" }],
    gates: [{ name: "quality", margin: 0.05, min: 0.5, max: 1 }],
    judge: { modelRef: { name: "judge" } },
    budget: {},
  },
  Monitor: {
    ...MINIMAL.Monitor,
    interval: "30s",
    probe: { window: "5m" },
    signals: [
      {
        name: "latency",
        type: "Probe",
        probe: { measure: "latency" },
        thresholds: { warning: 800, alert: 2000 },
        for: "1m",
        noData: "Alert",
      },
      {
        name: "availability",
        type: "Probe",
        probe: { measure: "availability" },
        thresholds: { operator: "Below", warning: 0.99, alert: 0.9 },
      },
      {
        name: "queue",
        type: "Prometheus",
        prometheus: { metric: "queue" },
        thresholds: { warning: 4 },
      },
      {
        name: "quality",
        type: "Replay",
        replay: { suiteRef: { name: "s" }, reference: "FirstRun" },
        thresholds: { operator: "Below", alert: -0.05 },
      },
    ],
    prometheus: {
      url: "http://prometheus.monitoring.svc:9090",
      secretRef: { name: "prometheus" },
      runtime: "VLLM",
      matchLabels: { job: "llm" },
    },
    actions: [
      {
        name: "pager",
        type: "Alertmanager",
        alertmanager: { url: "http://alertmanager.monitoring.svc:9093" },
      },
      {
        name: "chat",
        type: "Webhook",
        webhook: { url: "https://hooks.example.com/a?b=c", secretRef: { name: "hook", key: "key" } },
      },
      { name: "rule", type: "PrometheusRule", prometheusRule: { labels: { release: "stack" } } },
      { name: "cases", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "s" } } },
    ],
  },
  EvalRun: {
    ...MINIMAL.EvalRun,
    trigger: "PullRequest",
    pullRequest: 7,
    base: { commit, bundle: digest, revision },
  },
};

/** A full object's spec with some fields replaced, or removed where the value is undefined. */
export function variant(kind: string, changes: Spec): Spec {
  return JSON.parse(JSON.stringify({ ...FULL[kind], ...changes })) as Spec;
}
