import { durationMs } from "../../../../schemas/common.ts";
import { type Monitor, type ProbeSignal, probeSettings } from "../../../../schemas/monitor.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import type { EffectOutcome, EffectRequest } from "../../../runtime/kind.ts";
import type { Reading } from "../state.ts";
import type { TargetEndpoint } from "../target.ts";

/** One request and what became of it. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Absent for a request that was not answered. */
  readonly latencyMs?: number;
  readonly timeToFirstTokenMs?: number;
  /** Why it was not answered. */
  readonly error?: string;
}

/** What the requests are; the same for all of them. */
export interface ProbeConfig {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly target: TargetEndpoint;
  readonly prompt: string;
  readonly maxTokens: number;
  /** Streaming is what the time to the first token is measured by. */
  readonly stream: boolean;
}

export interface ProbeInput {
  readonly config: ProbeConfig;
  /** The window so far: it is handed from attempt to attempt. */
  readonly samples: readonly Sample[];
}

export interface ProbeOutput {
  readonly samples: readonly Sample[];
  /** Nothing could be asked: a Secret is missing, or not for this host. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

const MAX_SAMPLES = 1_000;

/** The requests that a Monitor makes; undefined where no signal needs any. */
export function probeConfig(
  monitor: Monitor,
  target: TargetEndpoint,
  serviceAccountName: string,
): ProbeConfig | undefined {
  const signals = monitor.spec.signals.filter(({ type }) => type === "Probe");
  if (signals.length === 0) return undefined;
  const { prompt, maxTokens } = settingsOf(monitor);
  return {
    namespace: monitor.metadata.namespace ?? "",
    serviceAccountName,
    target,
    prompt,
    maxTokens,
    stream: signals.some(({ probe }) => probe?.measure === "timeToFirstToken"),
  };
}

export const probeDigest = (config: ProbeConfig): string => digestOf(config);

/** The effect that makes one more request, with the window of the former one. */
export function probeRequest(
  monitor: Monitor,
  config: ProbeConfig,
  attempt: number,
  before: EffectOutcome | undefined,
  now: Date,
): EffectRequest {
  const since = now.getTime() - durationMs(settingsOf(monitor).window);
  const samples = samplesOf(before)
    .filter(({ at }) => at >= since)
    .slice(-MAX_SAMPLES + 1);
  return {
    name: "probe",
    inputDigest: probeDigest(config),
    input: { config, samples } as unknown as Json,
    attempt,
    durable: false,
  };
}

/** What the requests in the window say about one signal. */
export function probeReading(
  monitor: Monitor,
  { measure, statistic }: ProbeSignal,
  outcome: EffectOutcome | undefined,
  now: Date,
): Reading {
  if (!outcome || outcome.state === "Running") return { kind: "unknown" };
  if (outcome.state === "Failed") {
    const { code, message } = outcome.error ?? { code: "ProbeFailed", message: "the probe did not finish" };
    return { kind: "none", reason: code, message };
  }
  const { failure } = outcome.output as unknown as ProbeOutput;
  if (failure) return { kind: "none", ...failure };
  const { window, minRequests } = settingsOf(monitor);
  const since = now.getTime() - durationMs(window);
  const samples = samplesOf(outcome).filter(({ at }) => at >= since);
  if (samples.length < minRequests) return { kind: "unknown" };
  if (measure === "availability") {
    const answered = samples.filter(({ error }) => error === undefined).length;
    return { kind: "value", value: answered / samples.length };
  }
  const figures = samples
    .map((sample) => (measure === "latency" ? sample.latencyMs : sample.timeToFirstTokenMs))
    .filter((figure) => figure !== undefined);
  if (figures.length === 0) {
    const last = samples.at(-1)?.error;
    return last === undefined
      ? { kind: "none", reason: "NotStreamed", message: "the endpoint streamed no token" }
      : { kind: "none", reason: last, message: `none of ${samples.length} requests was answered` };
  }
  return { kind: "value", value: statisticOf(figures, statistic) };
}

/** Quantiles by nearest rank: a figure that was really measured. */
export function statisticOf(figures: readonly number[], statistic: ProbeSignal["statistic"]): number {
  if (statistic === "mean") return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  const sorted = figures.toSorted((a, b) => a - b);
  const share = { p50: 0.5, p95: 0.95, p99: 0.99, max: 1 }[statistic];
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const settingsOf = (monitor: Monitor) => monitor.spec.probe ?? probeSettings.parse({});

function samplesOf(outcome: EffectOutcome | undefined): readonly Sample[] {
  return (outcome?.output as unknown as ProbeOutput | undefined)?.samples ?? [];
}
