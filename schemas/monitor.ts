import { z } from "zod";
import {
  digest,
  durationBetween,
  localRef,
  mapKeys,
  objectName,
  revision,
  secretKeyRef,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";
import { action } from "./monitor-actions.ts";

/** From best to worst: a Monitor is in the worst state of its signals. */
export const MONITOR_STATES = ["OK", "NO_DATA", "WARNING", "ALERT"] as const;
export type MonitorState = (typeof MONITOR_STATES)[number];
const state = z.enum(MONITOR_STATES);

const limit = z.number().min(-1e12).max(1e12);

/** Ordered, so that what alerts also warns. */
export const thresholds = withRules(
  z.strictObject({
    operator: z.enum(["Above", "Below"]).default("Above").describe("Which side of a limit is bad."),
    warning: limit.optional().describe("Beyond this the signal is WARNING."),
    alert: limit.optional().describe("Beyond this the signal is ALERT."),
  }),
  {
    rule: "has(self.warning) || has(self.alert)",
    message: "thresholds needs warning or alert",
    check: (self) => self.warning !== undefined || self.alert !== undefined,
  },
  {
    rule: "!has(self.warning) || !has(self.alert) || (self.operator == 'Below' ? self.warning >= self.alert : self.warning <= self.alert)",
    message: "alert must lie beyond warning: above it with operator Above, below it with Below",
    check: ({ operator, warning, alert }) =>
      warning === undefined ||
      alert === undefined ||
      (operator === "Below" ? warning >= alert : warning <= alert),
  },
);
export type Thresholds = z.infer<typeof thresholds>;

export const probeSignal = z.strictObject({
  measure: z
    .enum(["latency", "timeToFirstToken", "availability"])
    .describe(
      "latency and timeToFirstToken in ms, of the requests that were answered; availability is the share of requests that were answered, 0 to 1.",
    ),
  statistic: z
    .enum(["mean", "p50", "p95", "p99", "max"])
    .default("p95")
    .describe("Of the requests in the window, for latency and timeToFirstToken."),
});
export type ProbeSignal = z.infer<typeof probeSignal>;

export const PROMETHEUS_METRICS = [
  "latencyP50",
  "latencyP95",
  "latencyP99",
  "timeToFirstTokenP50",
  "timeToFirstTokenP95",
  "tokensPerSecond",
  "errorRate",
  "queue",
] as const;
export type PrometheusMetric = (typeof PROMETHEUS_METRICS)[number];

export const PROMETHEUS_RUNTIMES = ["VLLM", "SGLang", "TGI", "LlamaCpp", "Transformers"] as const;
export type PrometheusRuntime = (typeof PROMETHEUS_RUNTIMES)[number];

export const prometheusSignal = withRules(
  z.strictObject({
    metric: z
      .enum(PROMETHEUS_METRICS)
      .optional()
      .describe(
        "A figure of the target's server: milliseconds for times, a share from 0 to 1 for errorRate, tokensPerSecond of all replicas, requests that wait for queue.",
      ),
    query: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe("PromQL that gives one number, instead of metric."),
    window: durationBetween("10s", "24h")
      .default("5m")
      .describe("How far back metric looks; at least twice the scrape interval."),
  }),
  {
    rule: "has(self.metric) != has(self.query)",
    message: "write either metric or query",
    check: (self) => (self.metric === undefined) !== (self.query === undefined),
  },
);
export type PrometheusSignal = z.infer<typeof prometheusSignal>;

export const prometheusSettings = z.strictObject({
  url: z
    .string()
    .min(8)
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .describe("Base of Prometheus' HTTP API, such as http://prometheus.monitoring.svc:9090."),
  secretRef: secretKeyRef
    .optional()
    .describe(
      "A bearer token. The Secret's annotation slipway.dev/allowed-hosts must name Prometheus' host and port.",
    ),
  runtime: z
    .enum(PROMETHEUS_RUNTIMES)
    .optional()
    .describe("The target's server, which metric needs; known already where Slipway runs it."),
  matchLabels: z
    .record(z.string().max(128), z.string().max(512))
    .optional()
    .meta({ maxProperties: 16 })
    .describe(
      "Labels of the target's series, for metric. Unless given, namespace and pod where Slipway runs it, else none.",
    ),
});
export type PrometheusSettings = z.infer<typeof prometheusSettings>;

export const replaySignal = z.strictObject({
  suiteRef: localRef.describe(
    "The EvalSuite whose cases are asked again; of its targets those on the watched deployment.",
  ),
  every: durationBetween("1m", "168h")
    .default("24h")
    .describe("How often. Every answer is asked for anew, so it costs what the suite costs."),
  metric: z
    .enum(["pass-rate", "score", "latency"])
    .default("pass-rate")
    .describe("pass-rate and score from 0 to 1, latency in ms; the mean over cases."),
  reference: z
    .enum(["None", "FirstRun", "LastPass"])
    .default("None")
    .describe(
      "None: the value is the metric. FirstRun, LastPass: it is the difference to the first run of this signal on the same suite, or to the last run of the suite itself that passed; a limit is passed only where the whole paired interval lies beyond it.",
    ),
  keep: z.int().min(1).max(20).default(5).describe("How many runs are kept."),
});
export type ReplaySignal = z.infer<typeof replaySignal>;

export const signal = withRules(
  z.strictObject({
    name: objectName,
    type: z
      .enum(["Probe", "Prometheus", "Replay"])
      .describe(
        "Probe: real requests to the target's endpoint. Prometheus: what a server has measured. Replay: the cases of an EvalSuite, asked again.",
      ),
    probe: probeSignal.optional(),
    prometheus: prometheusSignal.optional(),
    replay: replaySignal.optional(),
    thresholds,
    for: durationBetween("0s", "24h")
      .default("0s")
      .describe(
        "How long a limit must have been passed before the state follows. Getting better counts at once.",
      ),
    noData: z
      .enum(["OK", "NoData", "Alert"])
      .default("NoData")
      .describe("The state while there is nothing to measure: OK, NO_DATA or ALERT."),
  }),
  {
    rule: "(self.type == 'Probe') == has(self.probe) && (self.type == 'Prometheus') == has(self.prometheus) && (self.type == 'Replay') == has(self.replay)",
    message: "a signal needs the section that its type names, and no other",
    check: (self) =>
      (self.type === "Probe") === (self.probe !== undefined) &&
      (self.type === "Prometheus") === (self.prometheus !== undefined) &&
      (self.type === "Replay") === (self.replay !== undefined),
  },
);
export type MonitorSignal = z.infer<typeof signal>;

export const probeSettings = z.strictObject({
  prompt: z.string().min(1).max(4096).default("Answer with the word OK.").describe("What is asked."),
  maxTokens: z.int().min(1).max(4096).default(8).describe("Longest answer, in tokens."),
  window: durationBetween("1s", "24h").default("10m").describe("How far back requests count, at most 1,000."),
  minRequests: z
    .int()
    .min(1)
    .max(1000)
    .default(3)
    .describe("Fewer requests in the window say nothing yet, such as after a restart of the controller."),
});
export type ProbeSettings = z.infer<typeof probeSettings>;

export const monitorSpec = withRules(
  z.strictObject({
    description: z.string().max(1024).optional(),
    targetRef: localRef.describe("The ModelDeployment that is watched."),
    interval: durationBetween("1s", "24h")
      .default("1m")
      .describe(
        "How often the signals are measured. Every probe is a request that the model's owner charges for.",
      ),
    probe: probeSettings.optional().describe("The requests of all signals of type Probe."),
    prometheus: prometheusSettings.optional().describe("Where signals of type Prometheus are asked."),
    signals: z.array(signal).min(1).max(32).meta(mapKeys("name")),
    actions: z
      .array(action)
      .max(16)
      .optional()
      .meta(mapKeys("name"))
      .describe("Whom to tell, besides the Events of this object."),
    suspend,
  }),
  {
    rule: "has(self.prometheus) || !self.signals.exists(s, s.type == 'Prometheus')",
    message: "a signal of type Prometheus needs spec.prometheus.url",
    check: (self) => self.prometheus !== undefined || !self.signals.some(({ type }) => type === "Prometheus"),
  },
  {
    rule: "!has(self.actions) || !self.actions.exists(a, a.type == 'PrometheusRule') || self.signals.exists(s, s.type == 'Prometheus')",
    message: "an action of type PrometheusRule needs a signal of type Prometheus",
    check: (self) =>
      !self.actions?.some(({ type }) => type === "PrometheusRule") ||
      self.signals.some(({ type }) => type === "Prometheus"),
  },
  {
    rule: "!has(self.actions) || !self.actions.exists(a, a.type == 'OpenPullRequest') || self.signals.exists(s, s.type == 'Replay')",
    message: "an action of type OpenPullRequest needs a signal of type Replay",
    check: (self) =>
      !self.actions?.some(({ type }) => type === "OpenPullRequest") ||
      self.signals.some(({ type }) => type === "Replay"),
  },
  {
    rule: "!has(self.actions) || self.actions.filter(a, a.type == 'PrometheusRule').size() <= 1",
    message: "write one action of type PrometheusRule: it is one object",
    check: (self) => (self.actions ?? []).filter(({ type }) => type === "PrometheusRule").length <= 1,
  },
);
export type MonitorSpec = z.infer<typeof monitorSpec>;

const time = z.string().max(64).meta({ format: "date-time" });

export const signalStatus = z.strictObject({
  name: objectName,
  state,
  since: time.describe("When it came into this state."),
  value: z
    .string()
    .max(32)
    .optional()
    .describe("Rounded to three digits; brought up to date at most every ten minutes while the state stays."),
  observedAt: time.optional().describe("When the value was measured."),
  message: z.string().max(512).optional(),
  pending: z
    .array(z.strictObject({ state, since: time }))
    .max(3)
    .optional()
    .meta(mapKeys("state"))
    .describe("Worse states that have not lasted for the signal's `for` yet."),
  run: z.string().max(253).optional().describe("Replay: the EvalRun that the value is from."),
  reference: z
    .strictObject({ run: z.string().max(253), result: digest, suite: revision })
    .optional()
    .describe("Replay: the run that is compared with, its result, and the suite's revision."),
  lastHandledRequestedAt: z
    .string()
    .max(256)
    .optional()
    .describe("Replay: value of the annotation slipway.dev/requestedAt that a run was started for."),
});
export type SignalStatus = z.infer<typeof signalStatus>;

export const transition = z.strictObject({
  id: z.int().min(1).describe("Counts the transitions of this Monitor."),
  time,
  signal: objectName,
  from: state.optional().describe("Absent for the first state of a signal."),
  to: state,
  value: z.string().max(32).optional(),
});
export type Transition = z.infer<typeof transition>;

export const actionStatus = z.strictObject({
  name: objectName,
  delivered: z.int().min(0).optional().describe("The last transition that was told, or given up."),
  url: z.string().max(2048).optional().describe("The pull request that was opened or added to last."),
  reason: z.string().max(128).optional().describe("Why the last call failed; absent when it did not."),
  message: z.string().max(512).optional(),
});
export type ActionStatus = z.infer<typeof actionStatus>;

export const monitorStatus = z.strictObject({
  ...statusBase,
  state: state.optional().describe("The worst state of the signals."),
  since: time.optional().describe("When it came into this state."),
  summary: z.string().max(64).optional().describe("Signals that are OK, of all."),
  signals: z.array(signalStatus).max(32).optional().meta(mapKeys("name")),
  history: z
    .array(transition)
    .max(20)
    .optional()
    .meta({ "x-kubernetes-list-type": "atomic" })
    .describe("The last transitions, newest first."),
  served: z
    .array(z.strictObject({ revision, since: time }))
    .max(8)
    .optional()
    .meta({ "x-kubernetes-list-type": "atomic" })
    .describe(
      "Where Slipway runs the target: its revisions whose pods count for metric, the active one first, then those that had the traffic within the longest window.",
    ),
  actions: z.array(actionStatus).max(16).optional().meta(mapKeys("name")),
  rule: z.string().max(253).optional().describe("Name of the PrometheusRule, once it is applied."),
});
export type MonitorStatus = z.infer<typeof monitorStatus>;
export type Monitor = CustomResource<MonitorSpec, MonitorStatus>;

export const monitorKind: KindDefinition = {
  kind: "Monitor",
  plural: "monitors",
  singular: "monitor",
  shortNames: ["mon"],
  description: "Watches a model that answers requests, and says when it gets worse.",
  spec: monitorSpec,
  status: monitorStatus,
  columns: columns(
    { name: "State", type: "string", jsonPath: ".status.state" },
    { name: "OK", type: "string", jsonPath: ".status.summary" },
    { name: "Since", type: "date", jsonPath: ".status.since" },
    { name: "Target", type: "string", jsonPath: ".spec.targetRef.name", priority: 1 },
  ),
};
